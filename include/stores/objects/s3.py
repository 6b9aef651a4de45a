"""Write-once objects in S3, by conditional create."""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from include.contract.digest import digest_of
from include.contract.receipt import ObjectState
from include.errors import ConfigurationError, MissingObjectError, PlatformError, TemporaryError, foreign
from include.stores.objects.keys import checked_key
from include.stores.retry import RETRY_SECONDS, Backoff, retried

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

Result = TypeVar("Result")
_CONNECT_SECONDS = 5
_READ_SECONDS = 20
_CONFLICT_ATTEMPTS = 5
_CONFLICT_BACKOFF = Backoff(first_seconds=0.2, longest_seconds=0.2)
# HEAD has no body, so botocore names the status in place of S3's own code.
_GONE = {"404", "NoSuchKey", "NotFound"}
_THERE_ALREADY = {"412", "PreconditionFailed"}
# S3 answers a conditional create 409 while another one of the same key is being decided: to be sent again.
_CONFLICT = {"409", "ConditionalRequestConflict", "OperationAborted"}
_REFUSED = {
    "AccessDenied", "AllAccessDisabled", "AuthorizationHeaderMalformed", "ExpiredToken", "Forbidden",
    "InvalidAccessKeyId", "InvalidBucketName", "InvalidToken", "NoSuchBucket", "PermanentRedirect",
    "SignatureDoesNotMatch", "401", "403",
}  # fmt: skip
_ADVICE = "Check the endpoint (AWS_ENDPOINT_URL) and the network, and run it again."


class _ConflictError(TemporaryError):
    """Another create of the same key was under way."""


@dataclass(frozen=True)
class S3Objects:
    """
    Objects below a prefix of a bucket; endpoint, region and credentials come from the usual ``AWS_…`` variables.

    Every call is bounded: it is retried for 75 s, and an attempt may take 5 s to connect and 20 s to read.
    """

    bucket: str
    prefix: str
    connect_seconds: float = _CONNECT_SECONDS
    read_seconds: float = _READ_SECONDS
    retry_seconds: float = RETRY_SECONDS
    """No attempt of a call begins later than this after the first one."""

    @cached_property
    def _client(self) -> Any:
        from boto3.session import Session
        from botocore.config import Config

        config = Config(
            connect_timeout=self.connect_seconds,
            read_timeout=self.read_seconds,
            # botocore's own retries are off: it repeats a conditional create, and cannot tell its first success from
            # another writer's.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # MinIO, moto and most stand-ins have no DNS name for each bucket; AWS itself wants the bucket in the host
            # name.
            s3={"addressing_style": "path"} if os.environ.get("AWS_ENDPOINT_URL") else {},
        )
        # Opening may already need the network: credentials of a role come from a metadata service.
        return self._called("opening the client", lambda: Session().client("s3", config=config))

    def create(self, key: str, data: bytes) -> bool:
        """
        Write the object if there is none of this key, atomically.

        :return: False if there was one already; it is left alone.
        :raises TemporaryError: if S3 does not respond.
        """
        # Counted over the retries of _called as well: from the second request on, a 412 may be our own success.
        attempts = itertools.count(1)
        try:
            return retried(
                lambda: self._create_once(key, data, attempts),
                seconds=None,
                attempts=_CONFLICT_ATTEMPTS,
                backoff=_CONFLICT_BACKOFF,
                on=_ConflictError,
            )
        except _ConflictError as error:
            message = f"Creating {self._place(key)} met another writer {_CONFLICT_ATTEMPTS} times. Run it again."
            raise TemporaryError(message) from error

    def _create_once(self, key: str, data: bytes, attempts: Iterator[int]) -> bool:
        """
        Whether this call created the object; False if there was one.

        :param attempts: counts the requests of one ``create``.
        :raises _ConflictError: if another create was under way: its outcome is unknown.
        """
        from botocore.exceptions import ClientError

        def put() -> bool | None:
            attempt = next(attempts)
            try:
                self._client.put_object(Bucket=self.bucket, Key=self._full(key), Body=data, IfNoneMatch="*")
            except ClientError as error:
                if _code(error) in _THERE_ALREADY:
                    # An attempt before this one may have written it, and its response was lost.
                    return attempt > 1 and self.get(key) == data
                if _code(error) in _CONFLICT:
                    return None
                raise
            return True

        made = self._called(f"creating {self._place(key)}", put)
        if made is None:
            raise _ConflictError
        return made

    def get(self, key: str) -> bytes:
        """
        The object's bytes.

        :raises MissingObjectError: if there is none.
        :raises TemporaryError: if S3 does not respond.
        """

        def read() -> bytes:
            content: bytes = self._client.get_object(Bucket=self.bucket, Key=self._full(key))["Body"].read()
            return content

        return self._called(f"reading {self._place(key)}", read)

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        try:
            self._called(
                f"looking for {self._place(key)}",
                lambda: self._client.head_object(Bucket=self.bucket, Key=self._full(key)),
            )
        except MissingObjectError:
            return False
        return True

    def list(self, prefix: str) -> list[str]:
        """Keys that begin with the prefix, in order."""
        below = f"{self.prefix}/" if self.prefix else ""

        def pages() -> list[str]:
            # A listing has at most 1,000 keys a page; sorted here, as not every stand-in for S3 sorts as S3 does.
            paginator = self._client.get_paginator("list_objects_v2")
            listing = paginator.paginate(Bucket=self.bucket, Prefix=below + prefix)
            return sorted(item["Key"].removeprefix(below) for page in listing for item in page.get("Contents", ()))

        return self._called(f"listing s3://{self.bucket}/{below}{prefix}", pages)

    def seal(self, key: str, data: bytes) -> ObjectState:
        """Create the object, or take the one that is there; either way what lies there now, by its digest."""
        kept = data if self.create(key, data) else self.get(key)
        return ObjectState(name=key, digest=digest_of(kept), size_bytes=len(kept))

    def url(self, key: str) -> str:
        """Where a person finds the object."""
        return self._place(key)

    def _full(self, key: str) -> str:
        return f"{self.prefix}/{checked_key(key)}" if self.prefix else checked_key(key)

    def _place(self, key: str) -> str:
        return f"s3://{self.bucket}/{self._full(key)}"

    def _called(self, doing: str, call: Callable[[], Result]) -> Result:
        """Call S3, with retries, and translate every error into one of the tree."""
        from botocore.exceptions import BotoCoreError, ClientError

        def once() -> Result:
            try:
                return call()
            except ClientError as error:
                raise _refusal(doing, error) from error
            # botocore raises a plain ValueError for an endpoint that is no URL.
            except (BotoCoreError, ValueError) as error:
                raise _client_error(doing, error) from error

        return retried(once, seconds=self.retry_seconds)


def _code(error: "ClientError") -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _refusal(doing: str, error: "ClientError") -> PlatformError:
    """S3's refusal, as an error of the tree."""
    code = _code(error)
    metadata: Mapping[str, Any] = error.response.get("ResponseMetadata", {})
    if code in _GONE:
        message = f"There is no such object: {doing}. Restore it, or run the step again that writes it."
        return MissingObjectError(message)
    if code in _REFUSED:
        message = f"S3 refused {doing}: {code}. Check the bucket and the AWS_… variables of this process."
        return ConfigurationError(message)
    status = metadata.get("HTTPStatusCode", "no status")
    message = f"S3 failed {doing}: {code} ({status}). {_ADVICE}"
    return TemporaryError(message)


def _client_error(doing: str, error: Exception) -> PlatformError:
    """What boto3 itself raises, as an error of the tree."""
    from botocore.exceptions import (
        InvalidRegionError,
        NoCredentialsError,
        NoRegionError,
        PartialCredentialsError,
        ProfileNotFound,
    )

    if isinstance(
        error,
        NoCredentialsError
        | PartialCredentialsError
        | NoRegionError
        | InvalidRegionError
        | ProfileNotFound
        | ValueError,
    ):
        message = f"{doing} is not possible: {foreign(error)}. Check the AWS_… variables of this process."
        return ConfigurationError(message)
    return TemporaryError(f"S3 did not answer {doing}: {foreign(error)}. {_ADVICE}")
