"""How this package asks a service of this machine over HTTP."""

import httpx

TIMEOUT_SECONDS = 30.0
"""For each of: to connect, to send, and to hear anything of the answer."""
SHOWN_CHARACTERS = 500


def client(
    url: str = "", auth: tuple[str, str] | None = None, transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """
    A client for one service: past any proxy, and with a connection for each request.

    A service that is being started or ended closes connections at any moment, and a request on one that was kept would
    fail for no fault of its own. So none is kept, and the client need not be closed.

    :param url: the service's address, which the paths of requests are added to.
    :param auth: user and password.
    :param transport: takes the requests instead of the network.
    """
    return httpx.Client(
        base_url=url,
        auth=auth,
        timeout=TIMEOUT_SECONDS,
        trust_env=False,
        follow_redirects=True,
        limits=httpx.Limits(max_keepalive_connections=0),
        transport=transport,
    )


def excerpt(response: httpx.Response) -> str:
    """The beginning of an answer, on one line, for an error's message."""
    return " ".join(response.text.split())[:SHOWN_CHARACTERS]
