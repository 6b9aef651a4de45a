"""Bytes from S3; endpoint, region and credentials come from the usual ``AWS_…`` variables."""

import os
from collections.abc import Iterator
from typing import Any

from include.errors import ConfigurationError, DataRejectedError, PlatformError, TemporaryError, foreign
from include.steps.ingest.location import Location

_PIECE_BYTES = 1024 * 1024
_GONE = {"404", "NoSuchKey", "NotFound"}
_FIRST_SERVER_FAULT = 500
_BUSY = {"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "Throttling", "TooManyRequests"}


def s3_pieces(location: Location, *, attempts: int = 4, silence_seconds: float = 30.0) -> Iterator[bytes]:
    """
    One object, piece by piece.

    :raises DataRejectedError: if there is none.
    :raises ConfigurationError: if S3 refuses access, or no credentials are set.
    :raises TemporaryError: if S3 fails, is silent, or breaks off.
    """
    import boto3
    import botocore.exceptions as s3
    from botocore.config import Config

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(
        connect_timeout=5,
        read_timeout=silence_seconds,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        s3={"addressing_style": "path"} if endpoint else {},
    )
    try:
        client = boto3.client("s3", config=config)
        answer = client.get_object(Bucket=location.host, Key=location.path.lstrip("/"))
        yield from answer["Body"].iter_chunks(_PIECE_BYTES)
    except s3.ClientError as error:
        raise _refusal(location, error.response) from error
    except (s3.NoCredentialsError, s3.PartialCredentialsError, s3.ProfileNotFound, s3.ParamValidationError) as error:
        message = (
            f"{location} cannot be asked for: {foreign(error)}. Check the AWS_… variables and 'location' in the spec."
        )
        raise ConfigurationError(message) from error
    except (s3.BotoCoreError, OSError) as error:
        message = (
            f"{location} did not answer: {foreign(error)}. Check the endpoint and the network, and run the step again."
        )
        raise TemporaryError(message) from error
    except ValueError as error:
        message = f"{location} cannot be asked for: {foreign(error)}. Check AWS_ENDPOINT_URL."
        raise ConfigurationError(message) from error


def _refusal(location: Location, response: Any) -> PlatformError:
    code = str(response.get("Error", {}).get("Code", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    told = f"{location}: S3 answered {code or 'no code'} ({status})"
    if (isinstance(status, int) and status >= _FIRST_SERVER_FAULT) or code in _BUSY:
        return TemporaryError(f"{told} and cannot serve it now. Run the step again later.")
    if code in _GONE:
        return DataRejectedError(f"{told}: there is no such object. Put it there, or correct 'location' in the spec.")
    return ConfigurationError(f"{told} and refuses. Check the bucket, the AWS_… variables and 'location' in the spec.")
