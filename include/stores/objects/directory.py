"""Write-once objects as files below a directory."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from include.contract.digest import digest_of
from include.contract.receipt import ObjectState
from include.errors import ConfigurationError, MissingObjectError, TemporaryError
from include.stores.objects.keys import checked_key

# In the store itself, not in /tmp: a hard link cannot cross file systems.
_PARTIAL = ".partial"
# EDQUOT is a quota's ENOSPC; EFBIG is what RLIMIT_FSIZE gives.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# vfat and some network file systems give EPERM, FUSE ENOSYS or EOPNOTSUPP.
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


@dataclass(frozen=True)
class DirectoryObjects:
    """
    Objects as files below a folder.

    A file appears under its key by a hard link to a complete, synced temporary file: a kill or a power cut at any
    moment leaves either no object or the whole one. What a kill leaves behind lies in ``.partial`` and may be removed
    when nothing runs.
    """

    root: Path

    def create(self, key: str, data: bytes) -> bool:
        """
        Write the object if there is none of this key, atomically.

        :return: False if there was one already; it is left alone.
        :raises TemporaryError: if the disk is full or fails.
        """
        target = self._path(key)
        with _translated(f"Writing object '{key}' to {target}"):
            # Only saves the write; the hard link decides who was first.
            if target.exists():
                return False
            partial = self.root / _PARTIAL / f"{os.getpid()}-{secrets.token_hex(8)}"
            partial.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write_synced(partial, data)
                return _link(partial, target)
            finally:
                partial.unlink(missing_ok=True)

    def get(self, key: str) -> bytes:
        """
        The object's bytes.

        :raises MissingObjectError: if there is none.
        """
        path = self._path(key)
        with _translated(f"Reading object '{key}' from {path}"):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                message = (
                    f"There is no object '{key}' in {self.root}. Restore it, or run the step again that writes it."
                )
                raise MissingObjectError(message) from error

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        path = self._path(key)
        with _translated(f"Looking for object '{key}' at {path}"):
            return path.is_file()

    def list(self, prefix: str) -> list[str]:
        """Keys that begin with the prefix, in order."""
        folder = self.root / checked_key(prefix.rsplit("/", 1)[0]) if "/" in prefix else self.root
        keys = []
        with _translated(f"Listing objects '{prefix}' in {self.root}"):
            for parent, folders, files in os.walk(folder):
                below = Path(parent).relative_to(self.root)
                # Changed in place: os.walk descends into what is left in its own list.
                folders[:] = [name for name in folders if not name.startswith(".")]
                keys += [(below / name).as_posix() for name in files if not name.startswith(".")]
        return sorted(key for key in keys if key.startswith(prefix))

    def seal(self, key: str, data: bytes) -> ObjectState:
        """Create the object, or take the one that is there; either way what lies there now, by its digest."""
        kept = data if self.create(key, data) else self.get(key)
        return ObjectState(name=key, digest=digest_of(kept), size_bytes=len(kept))

    def url(self, key: str) -> str:
        """Where a person finds the object."""
        return self._path(key).as_uri()

    def _path(self, key: str) -> Path:
        return self.root / checked_key(key)


def _write_synced(path: Path, data: bytes) -> None:
    # The content must be on the disk before its name is, or a power cut leaves an empty object under its key.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _link(partial: Path, target: Path) -> bool:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # link() fails if the name is taken; rename() would replace it, and O_EXCL alone shows half a file.
        os.link(partial, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_HARD_LINKS:
            message = f"The file system of {target.parent} knows no hard links, without which objects are not safe."
            raise ConfigurationError(message + " Put the objects on another one.") from error
        raise
    # A directory's entry is on the disk only when the directory itself was synced.
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Translate what the operating system refuses into an error of the tree."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if error.errno in _FULL:
            message = f"{doing} failed: {reason}. Nothing was left half-written; make room and run it again."
            raise TemporaryError(message) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG}:
            message = f"{doing} failed: {reason}. Give this user the right to use the folder, or choose another."
            raise ConfigurationError(message) from error
        raise TemporaryError(f"{doing} failed: {reason}. Look after the disk and run it again.") from error
