"""Bytes from a web server."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus

from include.errors import ConfigurationError, DataRejectedError, PlatformError, TemporaryError, foreign
from include.steps.ingest.location import Location

_PIECE_BYTES = 1024 * 1024
_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
SILENCE_SECONDS = 30.0
"""The server may be silent for this long; how long the whole may take is the step's timeout."""


def http_pieces(location: Location, *, silence_seconds: float = SILENCE_SECONDS) -> Iterator[bytes]:
    """
    What a server answers, piece by piece, as many bytes as it promised.

    :raises DataRejectedError: if there is nothing at the location.
    :raises ConfigurationError: if the server refuses the request.
    :raises TemporaryError: if the server fails, is silent, or breaks off.
    """
    _ = location.host  # an address without a server is refused here
    request = urllib.request.Request(location.uri, headers={"User-Agent": "ml-platform-ingest"})  # noqa: S310 (http and https only: the spec's schemes)
    try:
        with urllib.request.urlopen(request, timeout=silence_seconds) as answer:  # noqa: S310 (as above)
            promised = int(answer.headers.get("Content-Length") or -1)
            received = 0
            while piece := answer.read(_PIECE_BYTES):
                received += len(piece)
                yield piece
            if promised not in (-1, received):
                message = f"{location} broke off after {received} of {promised} bytes. Run the step again."
                raise TemporaryError(message)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refusal(location, error.code) from error
    except (ValueError, http.client.InvalidURL) as error:
        message = f"{location} is no address that can be asked. Correct 'location' in the spec."
        raise ConfigurationError(message) from error
    except (OSError, http.client.HTTPException) as error:
        message = (
            f"{location} did not answer: {foreign(error)}. Check the server and the network, and run the step again."
        )
        raise TemporaryError(message) from error


def _refusal(location: Location, status: int) -> PlatformError:
    told = f"{location} answered {status}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _AGAIN:
        return TemporaryError(f"{told}: the server cannot serve it now. Run the step again later.")
    if status in _GONE:
        return DataRejectedError(f"{told}: there is nothing. Publish the file, or correct 'location' in the spec.")
    return ConfigurationError(f"{told}: it refuses the request. Check 'location' in the spec and who may read it.")
