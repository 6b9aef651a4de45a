"""One source's file, open and with its digest."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from include.contract.receipt import ObjectState
from include.errors import DataRejectedError, TemporaryError, foreign, listed, near

if TYPE_CHECKING:
    import pyarrow as pa

_ZIP_MAGIC = b"PK\x03\x04"


def _never() -> bool:
    return False


@dataclass(frozen=True)
class SourceFile:
    """An open file; a downloaded one is unlinked already and disappears when it is closed."""

    name: str
    """The location, without user, password and query."""
    member: str | None
    file: "pa.NativeFile"
    digest: str
    """``sha256:…`` of all bytes, of the archive where there is one."""
    size_bytes: int
    changed: Callable[[], bool] = _never
    """Whether the file was written to since its digest was computed."""

    @property
    def state(self) -> ObjectState:
        """The file as an input of the step."""
        return ObjectState(name=self.name, digest=self.digest, size_bytes=self.size_bytes)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """
        The file's content from its beginning, or that of the member of an archive.

        :raises DataRejectedError: if the archive is damaged or lacks the member, or the file is an archive and the spec
            names no member.
        """
        self.file.seek(0)
        if self.member is None:
            if self.file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC:
                message = f"{self.name} is a zip archive. Name the file in it with 'member' in the spec."
                raise DataRejectedError(message)
            self.file.seek(0)
            yield self.file
            return
        try:
            with zipfile.ZipFile(self.file) as archive, archive.open(self._member_of(archive)) as member:
                yield member
        # zipfile raises RuntimeError for an encrypted member, NotImplementedError for a compression it does not know.
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            message = f"{self.name} is not a complete zip archive ({foreign(error)}), {self.size_bytes} bytes; is it "
            message += "truncated? Write it anew at its origin and run the step again."
            raise DataRejectedError(message) from error

    def _member_of(self, archive: zipfile.ZipFile) -> str:
        member = self.member or ""
        if member not in archive.namelist():
            names = archive.namelist()
            message = f"{self.name} has no file '{member}'; it holds {listed(names)}.{near(member, names)} "
            raise DataRejectedError(message + "Correct 'member' in the spec.")
        return member

    def check_unchanged(self) -> None:
        """
        Make sure that the rows that were read are those of the digest.

        :raises TemporaryError: if the file was written to since its digest was computed.
        """
        if self.changed():
            message = (
                f"{self.name} was changed while it was read. Wait until its writer is done and run the step again."
            )
            raise TemporaryError(message)

    def close(self) -> None:
        """Close the file; a downloaded one is deleted by it."""
        self.file.close()


def local_file(path: Path, *, name: str, member: str | None) -> SourceFile:
    """
    Open a file of this machine in place, without a copy.

    :param name: its location, for messages and the receipt.
    :param member: the file inside it to read, if it is a zip archive.
    :raises DataRejectedError: if the file does not exist.
    :raises TemporaryError: if it cannot be read.
    """
    import pyarrow as pa

    try:
        before = _stamp(path)
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            size_bytes = opened.tell()
        file = pa.OSFile(str(path))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        message = f"{name} does not exist (no file {path}). Put it there, or correct 'location' in the spec."
        raise DataRejectedError(message) from error
    except OSError as error:
        message = (
            f"{name} cannot be read: {foreign(error)}. Check its permissions and the disk, and run the step again."
        )
        raise TemporaryError(message) from error
    return SourceFile(
        name=name,
        member=member,
        file=file,
        digest=f"sha256:{digest}",
        size_bytes=size_bytes,
        changed=lambda: _stamp(path) != before,
    )


def _stamp(path: Path) -> Any:
    # A file that is replaced by rename keeps its size and may keep its time, but has another inode.
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns
