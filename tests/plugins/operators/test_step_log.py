import json
import logging

from plugins.operators.step_log import LINE_BYTES_AT_MOST, StepLog
from tests.support.task_log import TaskLog


def event(level: str, name: str, **fields: object) -> bytes:
    carried = {"at": "2013-01-01", "level": level, "event": name, "step": "ingest", "run": "r", "attempt": 1}
    return json.dumps(carried | fields).encode() + b"\n"


def test_events_are_logged_at_their_level_without_what_the_task_log_shows_already() -> None:
    log = TaskLog()
    output = StepLog(log)
    output.take(event("info", "rows read", rows=3, seconds=0.123456, names=["a", "b"]))
    output.take(event("warning", "half are new"))
    output.take(event("error", "failed", message="Column a is missing.", exit_code=65))
    assert log.lines == [
        (logging.INFO, "rows read: rows=3, seconds=0.1235, names=a, b"),
        (logging.WARNING, "half are new"),
        (logging.ERROR, "failed: message=Column a is missing., exit_code=65"),
    ]
    assert output.last_error == "Column a is missing."


def test_lines_come_as_soon_as_they_are_whole_and_in_order() -> None:
    log = TaskLog()
    output = StepLog(log)
    output.take(b"one\ntw")
    assert [line for _, line in log.lines] == ["one"]
    output.take(b"o\nthree")
    output.flush()
    assert [line for _, line in log.lines] == ["one", "two", "three"]


def test_what_is_no_event_stays_as_it_is() -> None:
    log = TaskLog()
    output = StepLog(log)
    output.take(b'{"a": 1}\n{broken\n\n\xff\n[1]\n')
    assert [line for _, line in log.lines] == ['{"a": 1}', "{broken", "�", "[1]"]


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    log = TaskLog()
    StepLog(log).take(b"x" * (LINE_BYTES_AT_MOST + 1))
    assert len(log.lines) == 1
