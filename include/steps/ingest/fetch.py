"""Opens a source's file: of an installed package, of this machine, of S3 or of a web server."""

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from include.errors import ConfigurationError, DataRejectedError, TemporaryError, foreign
from include.steps.ingest.location import Location
from include.steps.ingest.source_file import SourceFile, local_file

BYTES_AT_MOST = 8 * 1024**3
"""A download that is larger than this is refused: it would fill the disk before the step's timeout ends it."""


def fetch(location: Location) -> SourceFile:
    """
    Open the file at a location and compute its digest; a remote file is downloaded to a temporary file first.

    :raises DataRejectedError: if the file does not exist, or is too large.
    :raises ConfigurationError: if the location is malformed, or access is denied.
    :raises TemporaryError: if the server or the disk fails.
    """
    scheme = location.parts.scheme
    if scheme == "package":
        return local_file(
            _package_folder(location.host) / location.path.lstrip("/"), name=str(location), member=location.member
        )
    if scheme == "file":
        if location.parts.netloc not in ("", "localhost"):
            message = f"Location '{location}' names a host. Write file:/// and an absolute path."
            raise ConfigurationError(message)
        return local_file(Path(location.path), name=str(location), member=location.member)
    if scheme == "s3":
        from include.steps.ingest.fetch_s3 import s3_pieces

        return fetched_file(location, s3_pieces(location))
    from include.steps.ingest.fetch_http import http_pieces

    return fetched_file(location, http_pieces(location))


def fetched_file(location: Location, pieces: Iterable[bytes], *, bytes_at_most: int = BYTES_AT_MOST) -> SourceFile:
    """
    Write a download to a temporary file, which is unlinked as soon as it is complete and open.

    :param pieces: the file's bytes, in order.
    :raises DataRejectedError: if there are more bytes than allowed.
    :raises TemporaryError: if the disk is full or fails.
    """
    import pyarrow as pa

    # The digest is computed while the file is written, so that files of some GiB are not read a second time for it.
    digest, size_bytes = hashlib.sha256(), 0
    handle, path = tempfile.mkstemp(prefix="ingest-")
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                size_bytes += len(piece)
                if size_bytes > bytes_at_most:
                    message = f"{location} is larger than {bytes_at_most} bytes. Split it by partition at its origin."
                    raise DataRejectedError(message)
                digest.update(piece)
                file.write(piece)
        opened: pa.NativeFile = pa.OSFile(path)
    except OSError as error:
        message = f"{location} cannot be written to {tempfile.gettempdir()}: {foreign(error)}. "
        message += "Free space there and run the step again."
        raise TemporaryError(message) from error
    finally:
        # POSIX keeps an unlinked file until its last handle closes, so that a step that is killed (SIGKILL runs no
        # clean-up) leaves nothing behind on the node's disk.
        Path(path).unlink()
    return SourceFile(
        name=str(location),
        member=location.member,
        file=opened,
        digest=f"sha256:{digest.hexdigest()}",
        size_bytes=size_bytes,
    )


def _package_folder(package: str) -> Path:
    """The folder of an installed package, located without importing the package."""
    # find_spec imports the parents of a dotted name, and with them code that this step has no need to run.
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        message = (
            f"Package '{package}' of location 'package://{package}/…' is not installed. Add it to the step image's "
        )
        raise ConfigurationError(message + "requirements, or correct 'location' in the spec.")
    return Path(next(iter(spec.submodule_search_locations)))
