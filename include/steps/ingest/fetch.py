"""Gets hold of a source's bytes, wherever they are."""

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
"""A fetched file is refused above this: it would fill the disk before the step's time is up."""


def fetch(location: Location) -> SourceFile:
    """
    Open what lies at a location, fetched to a nameless temporary file where it is remote, and digest it.

    :raises DataRejectedError: if it is not there, or too large.
    :raises ConfigurationError: if the location makes no sense, or access is denied.
    :raises TemporaryError: if the other side or the disk does not serve.
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
    Write pieces to a temporary file that has no name once it is complete.

    :raises DataRejectedError: if there are more bytes than allowed.
    :raises TemporaryError: if the disk does not take them.
    """
    import pyarrow as pa

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
        message = f"{location} could not be kept in {tempfile.gettempdir()}: {foreign(error)}. "
        message += "Make room there and run the step again."
        raise TemporaryError(message) from error
    finally:
        Path(path).unlink()
    return SourceFile(
        name=str(location),
        member=location.member,
        file=opened,
        digest=f"sha256:{digest.hexdigest()}",
        size_bytes=size_bytes,
    )


def _package_folder(package: str) -> Path:
    """Where an installed package lies; it is found, not imported: its code is none of our business."""
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        message = (
            f"Package '{package}' of location 'package://{package}/…' is not installed. Add it to the step image's "
        )
        raise ConfigurationError(message + "requirements, or correct 'location' in the spec.")
    return Path(next(iter(found.submodule_search_locations)))
