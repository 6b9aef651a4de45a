"""Downloads a source's file from a web server."""

from collections.abc import Iterator
from http import HTTPStatus

from include.errors import ConfigurationError, DataRejectedError, PlatformError, TemporaryError
from include.steps.ingest.location import Location
from include.stores.http import BadAddressError, HttpClient, NoResponseError

# The codes below 500 by which a server requests a retry; every other one is permanent.
_RETRYABLE = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_GONE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
SILENCE_SECONDS = 30.0
"""The longest time without a byte from the server; the whole download is limited by the step's timeout only."""


def http_pieces(location: Location, *, silence_seconds: float = SILENCE_SECONDS) -> Iterator[bytes]:
    """
    The body of a response, piece by piece, checked against its ``Content-Length``.

    :raises DataRejectedError: if the server has no such file (404, 410).
    :raises ConfigurationError: if the address is malformed, or the server refuses the request.
    :raises TemporaryError: if the server fails, is silent, or closes the connection before the end.
    """
    # Raises for an address without a server: urllib reports that like a lost connection, which would be retried.
    _ = location.host
    client, headers = HttpClient(timeout_seconds=silence_seconds), {"User-Agent": "ml-platform-ingest"}
    try:
        with client.stream("GET", location.uri, headers=headers) as response:
            if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                raise _error_of(location, response.status)
            yield from response.pieces
    except BadAddressError as error:
        message = f"{location} is not a valid address. Correct 'location' in the spec."
        raise ConfigurationError(message) from error
    except NoResponseError as error:
        message = f"{location} did not respond: {error}. Check the server and the network, and run the step again."
        raise TemporaryError(message) from error


def _error_of(location: Location, status: int) -> PlatformError:
    failure = f"{location} responded with status {status}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _RETRYABLE:
        return TemporaryError(f"{failure}: the server cannot serve the file now. Run the step again later.")
    if status in _GONE:
        return DataRejectedError(f"{failure}: no such file. Publish the file, or correct 'location' in the spec.")
    return ConfigurationError(f"{failure}: the request is refused. Check 'location' in the spec and who may read it.")
