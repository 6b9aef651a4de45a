import io
import json
from datetime import datetime

from include.runtime.events import EventLog


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_machine_gets_one_json_object_a_line() -> None:
    stream = io.StringIO()
    events = EventLog(stream, {"step": "ingest", "run": "r"})
    events.emit("rows read", rows=12, seconds=0.5, columns=["a", "b"])
    events.warn("slow", seconds=3.0)
    events.error("failed", message="two\nlines")
    first, second, third = (json.loads(line) for line in stream.getvalue().splitlines())
    assert datetime.fromisoformat(first.pop("at")).tzinfo is not None
    assert first == {
        "level": "info",
        "event": "rows read",
        "step": "ingest",
        "run": "r",
        "rows": 12,
        "seconds": 0.5,
        "columns": ["a", "b"],
    }
    assert (second["level"], third["level"], third["message"]) == ("warning", "error", "two\nlines")


def test_a_person_gets_a_short_line() -> None:
    stream = _Terminal()
    events = EventLog(stream, {"step": "ingest", "run": "r"})
    events.emit("rows read", rows=336776, share=0.123456, columns=["a", "b"], done=True)
    events.error("failed", message="bad")
    first, second = stream.getvalue().splitlines()
    assert first[8:] == "   ingest: rows read  rows=336,776  share=0.1235  columns=a,b  done=True"
    assert second[8:] == " x ingest: failed  message=bad"


def test_a_part_of_a_call_is_named_to_machines_and_to_persons() -> None:
    stream, terminal = io.StringIO(), _Terminal()
    for where in (stream, terminal):
        whole = EventLog(where, {"step": "ingest", "subject": "2013-03"})
        whole.of_part("2013-03/weather", {"source": "weather"}).emit("rows read", rows=3)
        whole.emit("done")
    part, whole_call = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (part["subject"], part["source"], part["rows"]) == ("2013-03/weather", "weather", 3)
    assert (whole_call["subject"], "source" in whole_call) == ("2013-03", False)
    assert terminal.getvalue().splitlines()[0][8:] == "   ingest: rows read  source=weather  rows=3"


def test_nothing_waits_in_a_buffer() -> None:
    class Counting(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            Counting.flushed += 1

    events = EventLog(Counting())
    events.emit("a")
    events.emit("b")
    assert Counting.flushed == 2
