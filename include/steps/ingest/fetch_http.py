"""Bytes from a web server."""

from collections.abc import Iterator
from http import HTTPStatus

from include.errors import ConfigurationError, DataRejectedError, PlatformError, TemporaryError
from include.steps.ingest.location import Location
from include.stores.http import BadAddressError, HttpClient, NoResponseError

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
    client, headers = HttpClient(timeout_seconds=silence_seconds), {"User-Agent": "ml-platform-ingest"}
    try:
        with client.stream("GET", location.uri, headers=headers) as response:
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                raise _refusal(location, response.status)
            yield from response.pieces
    except BadAddressError as error:
        message = f"{location} is no address that can be asked. Correct 'location' in the spec."
        raise ConfigurationError(message) from error
    except NoResponseError as error:
        message = f"{location} did not answer: {error}. Check the server and the network, and run the step again."
        raise TemporaryError(message) from error


def _refusal(location: Location, status: int) -> PlatformError:
    told = f"{location} answered {status}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _AGAIN:
        return TemporaryError(f"{told}: the server cannot serve it now. Run the step again later.")
    if status in _GONE:
        return DataRejectedError(f"{told}: there is nothing. Publish the file, or correct 'location' in the spec.")
    return ConfigurationError(f"{told}: it refuses the request. Check 'location' in the spec and who may read it.")
