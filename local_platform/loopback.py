"""HTTP requests to the services of this machine."""

import httpx

TIMEOUT_SECONDS = 30.0
"""Limit for each of: to connect, to send, and to receive the next part of the response."""
EXCERPT_CHARACTERS = 500


def client(
    url: str = "", auth: tuple[str, str] | None = None, transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """
    A client for one service that bypasses proxies and opens a connection for each request.

    A service that starts or stops closes connections at any moment, and a request on a kept one would fail although the
    service is well. So none is kept, and the client need not be closed.

    :param url: the service's address; paths of requests are appended.
    :param auth: user and password.
    :param transport: handles the requests in place of the network, in tests.
    """
    return httpx.Client(
        base_url=url,
        auth=auth,
        timeout=TIMEOUT_SECONDS,
        # Variables such as HTTP_PROXY would send requests for loopback to a company's proxy.
        trust_env=False,
        follow_redirects=True,
        limits=httpx.Limits(max_keepalive_connections=0),
        transport=transport,
    )


def excerpt(response: httpx.Response) -> str:
    """The first 500 characters of a response, on one line, for an error message."""
    return " ".join(response.text.split())[:EXCERPT_CHARACTERS]
