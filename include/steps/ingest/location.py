"""A source's location, for one partition."""

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from include.errors import ConfigurationError
from include.spec.sources import SourceSpec

_PLACEHOLDER = "{partition}"


@dataclass(frozen=True)
class Location:
    """The address of one source's file for one partition."""

    uri: str = ""
    """As in the spec, with the partition filled in; may hold a password, so it must not appear in a message."""
    member: str | None = None
    """The file inside a zip archive."""

    @classmethod
    def of(cls, source: SourceSpec, partition: str) -> "Location":
        """The location of a source of files, with ``{partition}`` replaced in the URI and the member."""
        member = source.member.replace(_PLACEHOLDER, partition) if source.member else None
        return cls(uri=source.location.replace(_PLACEHOLDER, partition), member=member)

    @property
    def parts(self) -> SplitResult:
        """Scheme, host, path and query."""
        return urlsplit(self.uri)

    @property
    def host(self) -> str:
        """
        The package, the bucket, or the server.

        :raises ConfigurationError: if the URI names none.
        """
        host = self.parts.netloc
        if not host:
            message = (
                f"Location '{self}' names no {'package' if self.parts.scheme == 'package' else 'bucket or server'}; "
            )
            raise ConfigurationError(message + "write scheme://name/path.")
        return host

    @property
    def path(self) -> str:
        """The decoded path; it begins with a slash, which is no part of an S3 key."""
        return unquote(self.parts.path)

    def __str__(self) -> str:
        """The location without user, password and query, for messages and receipts."""
        # A presigned URL carries its signature in the query.
        parts = self.parts
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        return f"{shown} ({self.member})" if self.member else shown
