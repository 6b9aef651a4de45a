"""Downloads a source's file from S3; endpoint, region and credentials come from the usual ``AWS_…`` variables."""

import os
from collections.abc import Iterator
from typing import Any

from include.errors import ConfigurationError, DataRejectedError, PlatformError, TemporaryError, foreign
from include.steps.ingest.location import Location

_PIECE_BYTES = 1024 * 1024
# NoSuchBucket is not among them: a bucket that does not exist is an error of the configuration, not a missing file.
_GONE = {"404", "NoSuchKey", "NotFound"}
_FIRST_SERVER_FAULT = 500
# S3 sends some of these with a 4xx status, so the status alone does not tell what is worth a retry.
_RETRYABLE = {"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "Throttling", "TooManyRequests"}


def s3_pieces(location: Location, *, attempts: int = 4, silence_seconds: float = 30.0) -> Iterator[bytes]:
    """
    The content of one object, piece by piece.

    :param attempts: how often botocore sends the request before it gives up; at least 1.
    :param silence_seconds: the longest time without a byte from S3.
    :raises DataRejectedError: if the object does not exist.
    :raises ConfigurationError: if S3 refuses access, or no credentials are set.
    :raises TemporaryError: if S3 fails, is silent, or closes the connection before the end.
    """
    import boto3
    import botocore.exceptions as s3
    from botocore.config import Config

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(
        connect_timeout=5,
        read_timeout=silence_seconds,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        # A server at an endpoint of its own (MinIO, moto) has no DNS name for each bucket.
        s3={"addressing_style": "path"} if endpoint else {},
    )
    try:
        client = boto3.client("s3", config=config)
        response = client.get_object(Bucket=location.host, Key=location.path.lstrip("/"))
        # botocore repeats requests, not the reading of a body: a body that breaks off is left to the retry of the step.
        yield from response["Body"].iter_chunks(_PIECE_BYTES)
    except s3.ClientError as error:
        raise _error_of(location, error.response) from error
    except (s3.NoCredentialsError, s3.PartialCredentialsError, s3.ProfileNotFound, s3.ParamValidationError) as error:
        message = (
            f"{location} cannot be requested: {foreign(error)}. Check the AWS_… variables and 'location' in the spec."
        )
        raise ConfigurationError(message) from error
    except (s3.BotoCoreError, OSError) as error:
        message = (
            f"{location} did not respond: {foreign(error)}. Check the endpoint and the network, and run the step again."
        )
        raise TemporaryError(message) from error
    except ValueError as error:
        # botocore reports a malformed endpoint by a plain ValueError.
        message = f"{location} cannot be requested: {foreign(error)}. Check AWS_ENDPOINT_URL."
        raise ConfigurationError(message) from error


def _error_of(location: Location, response: Any) -> PlatformError:
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    failure = f"{location}: S3 responded with {code or 'no code'} ({status})"
    if (isinstance(status, int) and status >= _FIRST_SERVER_FAULT) or code in _RETRYABLE:
        return TemporaryError(f"{failure} and cannot serve the object now. Run the step again later.")
    if code in _GONE:
        return DataRejectedError(f"{failure}: no such object. Upload it, or correct 'location' in the spec.")
    cure = "Check the bucket, the AWS_… variables and 'location' in the spec."
    return ConfigurationError(f"{failure} and refuses the request. {cure}")
