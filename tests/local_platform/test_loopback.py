import httpx
import pytest

from local_platform import loopback


def echo(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/moved":
        return httpx.Response(307, headers={"Location": "/here"})
    echo = f"{request.url}\n  {request.headers.get('Authorization', 'nobody')}"
    return httpx.Response(200, text=echo)


def test_paths_are_added_to_the_service_s_address() -> None:
    client = loopback.client("http://127.0.0.1:9/api", transport=httpx.MockTransport(echo))
    assert loopback.excerpt(client.get("/runs/r%201?limit=1")) == "http://127.0.0.1:9/api/runs/r%201?limit=1 nobody"
    assert loopback.excerpt(client.get("http://127.0.0.1:9/moved")) == "http://127.0.0.1:9/here nobody"


def test_a_user_is_named() -> None:
    client = loopback.client("http://127.0.0.1:9", ("admin", "x"), httpx.MockTransport(echo))
    assert loopback.excerpt(client.get("/")).endswith("Basic YWRtaW46eA==")


def test_no_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    with pytest.raises(httpx.ConnectError, match="refused"):
        loopback.client().get("http://127.0.0.1:9")


def test_a_long_response_is_cut() -> None:
    assert len(loopback.excerpt(httpx.Response(500, text="word " * 1000))) == loopback.EXCERPT_CHARACTERS
