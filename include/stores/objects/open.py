"""The store of objects at a URI: a directory or S3."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from include.errors import ConfigurationError
from include.stores.objects.directory import DirectoryObjects
from include.stores.objects.protocol import ObjectStore


def open_objects(uri: str) -> ObjectStore:
    """
    Open a store of objects.

    :param uri: ``file:///folder``, created when it is first written to, or ``s3://bucket/prefix``.
    :raises ConfigurationError: if the URI is neither.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return DirectoryObjects(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        from include.stores.objects.s3 import S3Objects

        return S3Objects(parts.netloc, parts.path.strip("/"))
    message = f"'{uri}' is no location for objects; write file:///folder or s3://bucket/prefix."
    raise ConfigurationError(message)
