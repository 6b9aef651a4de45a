"""One source's bytes, at hand and digested."""

import hashlib
import os
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
    """An open file; a fetched one has no name any more and goes when it is closed."""

    name: str
    """The location, without user, password and query."""
    member: str | None
    file: "pa.NativeFile"
    digest: str
    """``sha256:…`` of all bytes, of the archive where there is one."""
    size_bytes: int
    changed: Callable[[], bool] = _never
    """Whether somebody wrote to it since it was digested."""

    @property
    def state(self) -> ObjectState:
        """The file as an input of the step."""
        return ObjectState(name=self.name, digest=self.digest, size_bytes=self.size_bytes)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """
        The bytes from the beginning, those of the member in an archive.

        :raises DataRejectedError: if the archive is damaged or lacks the member.
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
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            message = f"{self.name} is no whole zip archive ({foreign(error)}), {self.size_bytes} bytes; half a file? "
            raise DataRejectedError(message + "Fetch it again at its origin and run the step again.") from error

    def _member_of(self, archive: zipfile.ZipFile) -> str:
        member = self.member or ""
        if member not in archive.namelist():
            names = archive.namelist()
            message = f"{self.name} has no file '{member}'; it holds {listed(names)}.{near(member, names)} "
            raise DataRejectedError(message + "Correct 'member' in the spec.")
        return member

    def check_unchanged(self) -> None:
        """
        Make sure that what was read is what was digested.

        :raises TemporaryError: if the file was written to in the meantime.
        """
        if self.changed():
            message = f"{self.name} was changed while it was read. Let its writer finish and run the step again."
            raise TemporaryError(message)

    def close(self) -> None:
        """Let go of the file."""
        self.file.close()


def local_file(path: Path, *, name: str, member: str | None) -> SourceFile:
    """
    A file of this machine.

    :raises DataRejectedError: if there is none.
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
        message = f"{name} is not there (no file {path}). Put it there, or correct 'location' in the spec."
        raise DataRejectedError(message) from error
    except OSError as error:
        message = (
            f"{name} cannot be read: {foreign(error)}. Check the file's rights and the disk, and run the step again."
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
    found = os.stat(path)  # noqa: PTH116 (one name for what the comparison is about)
    return found.st_ino, found.st_size, found.st_mtime_ns
