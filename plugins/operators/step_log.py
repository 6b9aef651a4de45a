"""Lines of a step -> the Airflow task log, as they come: events at their level, anything else as it is."""

import json
import logging
from typing import Protocol

CARRIED_BY_ALL = frozenset({"at", "level", "event", "step", "project", "subject", "run", "attempt"})
"""Fields that the task's own log already says."""
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LINE_BYTES_AT_MOST = 65_536


class Log(Protocol):
    """What of a logger is used."""

    def log(self, level: int, event: str) -> object:
        """Write one line."""


class StepLog:
    """Takes a step's output in pieces of any size, gives whole lines to a log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._rest = b""
        self.last_error = ""
        """Message of the last event of level error: why the step ends."""

    def take(self, data: bytes) -> None:
        """Log the lines that this piece completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > LINE_BYTES_AT_MOST:
            self.flush()

    def flush(self) -> None:
        """Log what is left of a line that never ended."""
        rest, self._rest = self._rest, b""
        self._line(rest)

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", errors="replace").rstrip()
        event = _event(text)
        if event is None:
            if text:
                self._log.log(logging.INFO, text)
            return
        level = LEVELS.get(str(event.get("level")), logging.INFO)
        told = ", ".join(f"{name}={_short(value)}" for name, value in event.items() if name not in CARRIED_BY_ALL)
        if level == logging.ERROR:
            self.last_error = str(event.get("message", event["event"]))
        self._log.log(level, f"{event['event']}: {told}" if told else str(event["event"]))


def _event(text: str) -> dict[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found and "level" in found else None


def _short(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
