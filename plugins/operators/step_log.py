"""
Output of a step -> Airflow's task log, line by line.

A line that is one of the platform's JSON events is logged at its level as ``event: name=value, ...``; any other line is
logged unchanged at level info.
"""

import json
import logging
from typing import Protocol

CARRIED_BY_ALL = frozenset({"at", "level", "event", "step", "project", "subject", "run", "attempt"})
"""Fields that are not repeated: Airflow's task log already shows time, level and task."""
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
LINE_BYTES_AT_MOST = 65_536
"""A longer line is logged in pieces."""


class Log(Protocol):
    """A logger; Airflow's and the standard library's both are."""

    def log(self, level: int, event: str) -> object:
        """Write one line."""


class StepLog:
    """Takes a step's output in pieces of any size and logs whole lines."""

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
        """Log what came of a line whose end is missing."""
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
        fields = ", ".join(f"{name}={_short(value)}" for name, value in event.items() if name not in CARRIED_BY_ALL)
        if level == logging.ERROR:
            self.last_error = str(event.get("message", event["event"]))
        self._log.log(level, f"{event['event']}: {fields}" if fields else str(event["event"]))


def _event(text: str) -> dict[str, object] | None:
    if not text.startswith("{"):
        return None
    try:
        event = json.loads(text)
    except ValueError:
        return None
    # Libraries and a project's own functions may print JSON, too: only the platform's events have both fields.
    return event if isinstance(event, dict) and "event" in event and "level" in event else None


def _short(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
