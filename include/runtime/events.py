"""The log of a step: lines for a person at a terminal, one JSON object a line for a machine."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TextIO

Value = str | int | float | bool | None | list[str]


@dataclass(frozen=True)
class EventLog:
    """Writes events to a stream, each with the fields of the call."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    fields: Mapping[str, Value] = field(default_factory=dict)
    """Carried by every event: project, step, subject, run, attempt."""
    level: str = "info"
    part: Mapping[str, Value] = field(default_factory=dict)
    """What distinguishes the parts of one call; in every line, also of those for a person."""

    def of_part(self, subject: str, part: Mapping[str, Value]) -> "EventLog":
        """The log of one part of a call: :attr:`part` in every event."""
        return replace(self, fields={**self.fields, "subject": subject}, part=part)

    def emit(self, event: str, **fields: Value) -> None:
        """
        Log that something happened.

        :param event: a few words in the past tense, without values: ``rows read``.
        :param fields: values; never a row's values and never a secret.
        """
        self._write("info", event, fields)

    def warn(self, event: str, **fields: Value) -> None:
        """Log that something is not as it should be, though the work goes on."""
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Value) -> None:
        """Log why the step ends."""
        self._write("error", event, fields)

    def _write(self, level: str, event: str, fields: Mapping[str, Value]) -> None:
        now = datetime.now(UTC)
        if self.stream.isatty():
            values = "  ".join(f"{name}={_short(value)}" for name, value in {**self.part, **fields}.items())
            mark = {"info": " ", "warning": "!", "error": "x"}[level]
            line = f"{now.astimezone():%H:%M:%S} {mark} {self.fields.get('step', '')}: {event}  {values}".rstrip()
        else:
            line = json.dumps(
                {"at": now.isoformat(timespec="milliseconds"), "level": level, "event": event}
                | {**self.fields, **self.part, **fields}
            )
        self.stream.write(line + "\n")
        self.stream.flush()


def _short(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ",".join(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
