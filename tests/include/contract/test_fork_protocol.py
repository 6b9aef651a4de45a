import json

import pytest

from include.contract.fork_protocol import (
    Ended,
    ForkRequest,
    Refused,
    Response,
    Started,
    response_from_line,
    response_to_line,
)

REQUEST = ForkRequest(
    arguments=("ingest", "--source", "flights"), environment={"A": "b\nc"}, folder="/bundle", grace_seconds=2.5
)


def test_a_request_survives_the_wire_as_one_line() -> None:
    line = REQUEST.to_line()
    assert line.count(b"\n") == 1
    assert ForkRequest.from_line(line) == REQUEST


def test_the_environment_is_not_shown() -> None:
    assert "b\nc" not in repr(REQUEST)


@pytest.mark.parametrize("response", [Started(7), Ended(0), Ended(-9), Refused("stale")])
def test_a_response_survives_the_wire_as_one_line(response: Response) -> None:
    line = response_to_line(response)
    assert line.count(b"\n") == 1
    assert response_from_line(line) == response


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[1]\n",
        b'{"format": 2, "arguments": [], "environment": {}}\n',
        b'{"format": 1, "arguments": "ingest", "environment": {}}\n',
        b'{"format": 1, "arguments": [], "environment": {}, "grace_seconds": "long"}\n',
    ],
)
def test_what_is_no_request_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="no message of format 1"):
        ForkRequest.from_line(line)


@pytest.mark.parametrize("document", [{}, {"format": 1}, {"format": 1, "started": "x"}])
def test_what_is_no_response_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no message of format 1"):
        response_from_line(json.dumps(document).encode())
