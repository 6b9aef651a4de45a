import json

import pytest

from include.contract.fork_protocol import (
    Answer,
    Ended,
    ForkRequest,
    Refused,
    Started,
    answer_from_line,
    answer_to_line,
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


@pytest.mark.parametrize("answer", [Started(7), Ended(0), Ended(-9), Refused("stale")])
def test_an_answer_survives_the_wire_as_one_line(answer: Answer) -> None:
    line = answer_to_line(answer)
    assert line.count(b"\n") == 1
    assert answer_from_line(line) == answer


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


@pytest.mark.parametrize("answer", [{}, {"format": 1}, {"format": 1, "started": "x"}])
def test_what_is_no_answer_is_refused(answer: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no message of format 1"):
        answer_from_line(json.dumps(answer).encode())
