"""
All HTTP connections are opened here, with nothing but the standard library: steps import no HTTP library for it.

Any status is a response; only what keeps a response from coming is an error. TLS trusts the authorities of the system
(``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` as Python reads them), or those of ``REQUESTS_CA_BUNDLE`` or ``CURL_CA_BUNDLE``
in their place, as MLflow's own library does. Nothing is repeated here: see ``include.stores.retry``.
"""

import http.client
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from include.errors import ConfigurationError, PermanentError, TemporaryError, foreign

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# 1 MiB: a file of hundreds of MB is written as it comes, and a small piece would cost a system call each.
_PIECE_BYTES = 1 << 20
_DOCUMENT_BYTES = 64 << 20


class NoResponseError(TemporaryError):
    """No response came, or only a part of one; the message is the reason alone."""


class BadAddressError(ConfigurationError):
    """No request can be sent to the address; the message is the reason alone."""


@dataclass(frozen=True)
class HttpResponse:
    """One response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class HttpStream:
    """One response whose content is still being received; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]
    """At most 1 MiB each; raises ``NoResponseError`` if the content breaks off."""


@dataclass(frozen=True, kw_only=True)
class HttpClient:
    """How requests are sent; each has a connection of its own."""

    timeout_seconds: float = 30.0
    """To connect, and for each silence of the server; not for the whole."""
    bytes_at_most: int = _DOCUMENT_BYTES
    """A whole response above this is refused: it would fill the memory."""
    is_direct: bool = False
    """Whether neither a proxy of the environment nor a redirect is followed: for servers of a cluster or machine."""

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        authorization: str | None = None,
    ) -> HttpResponse:
        """
        Send a request and read the whole response.

        :param authorization: value of that header; a redirect does not take it to another server.
        :raises NoResponseError: if no response comes in time, or the response breaks off.
        :raises BadAddressError: if the URL is none.
        :raises PermanentError: if the response is larger than ``bytes_at_most``.
        """
        with self.stream(method, url, body, headers, authorization=authorization) as response:
            # Not response.read(): a server that sends without end would fill the memory before the limit is looked at.
            content = bytearray()
            for piece in response.pieces:
                content += piece
                if len(content) > self.bytes_at_most:
                    host = urllib.request.Request(url).host  # noqa: S310 (nothing is opened)
                    raise PermanentError(f"The response of {host} is larger than {self.bytes_at_most} bytes.")
            return HttpResponse(response.status, response.headers, bytes(content))

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        authorization: str | None = None,
    ) -> Iterator[HttpStream]:
        """
        Send a request and read the response piece by piece, for the length of the block.

        :param authorization: as for ``request``.
        :raises NoResponseError: if no response comes in time; ``pieces`` raises it, too.
        :raises BadAddressError: if the URL is none.
        """
        with _as_platform_errors():
            request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310 (see _opener)
            if authorization is not None:
                # An ordinary header would go along with a redirect, and a registry redirects to S3 at another host.
                request.add_unredirected_header("Authorization", authorization)
            response = self._open(request)
        with response:
            received = {name.lower(): value for name, value in response.headers.items()}
            yield HttpStream(response.status, received, _pieces(response))

    def _open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        try:
            response = _opener(is_direct=self.is_direct).open(request, timeout=self.timeout_seconds)
        # urllib raises for 4xx and 5xx; here they are responses like any other.
        except urllib.error.HTTPError as error:
            response = error  # reads and closes as the response does
        return cast("http.client.HTTPResponse", response)


class _HttpsHandler(urllib.request.AbstractHTTPHandler):
    """HTTPS with the trusted authorities read at the first use: they take longer to read than a short request."""

    # do_open needs the Host and Content-Length headers, which urllib sets in the hook of this name.
    https_request = urllib.request.AbstractHTTPHandler.do_request_

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Open a connection that checks the server's certificate."""
        variable = next((name for name in CA_VARIABLES if os.environ.get(name)), "")
        context = trusting(variable, os.environ.get(variable, ""))
        return self.do_open(http.client.HTTPSConnection, request, context=context)


# Keyed by the path, so that an environment that changes (as in tests) gets its own context.
@lru_cache(maxsize=8)
def trusting(variable: str, path: str) -> ssl.SSLContext:
    """
    TLS that trusts what lies in a file or folder.

    :param variable: the environment variable that names it, for the message; empty for the system's own authorities.
    :raises ConfigurationError: if there are no certificates.
    """
    if not variable:
        return ssl.create_default_context()
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        message = f"{variable} is '{path}', which holds no certificates that can be read: {foreign(error)}."
        raise ConfigurationError(message) from error


def _opener(*, is_direct: bool) -> urllib.request.OpenerDirector:
    """An opener of http and https and nothing else: ``urlopen`` would read files and FTP servers as well."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        _HttpsHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ]
    if not is_direct:
        handlers += [urllib.request.ProxyHandler(), urllib.request.HTTPRedirectHandler()]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    received = 0
    with _as_platform_errors():
        while piece := response.read(_PIECE_BYTES):
            received += len(piece)
            yield piece
        # Read piece by piece, a response that breaks off looks like one that ends; what is missing stays in ``length``.
        missing = response.length
        if missing:
            message = f"the response broke off after {received} of {received + missing} bytes"
            raise NoResponseError(message)


@contextmanager
def _as_platform_errors() -> Iterator[None]:
    try:
        yield
    # InvalidURL is an HTTPException, too: this clause must come first, or a typo in an address would be retried.
    except (ValueError, http.client.InvalidURL) as error:
        raise BadAddressError(foreign(error)) from error
    except (OSError, http.client.HTTPException) as error:
        # urllib wraps the reason in a URLError whose own text is "<urlopen error …>".
        raise NoResponseError(foreign(getattr(error, "reason", None) or error)) from error
