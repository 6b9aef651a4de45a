"""
The log of a step's pod -> the task's log, each line once, however often the task is put to sleep in between.

The kubelet gives each line with its time to the nanosecond in front, in the order in which they were written. A cursor
names the last line that was taken, and travels with the task. How far back to ask is measured on this machine's clock
alone, for the node's may differ.
"""

import hashlib
import math
import re
from dataclasses import dataclass
from typing import Protocol

MARGIN_SECONDS = 5
"""Asked for in addition, and passed over again: requests take time, and the kubelet cuts at whole seconds."""
_STAMP = re.compile(rb"^\d{4}-\d{2}-\d{2}T\S+ ")


class Source(Protocol):
    """Where the log comes from."""

    def log(self, name: str, since_seconds: int | None) -> bytes:
        """What the step wrote, each line with its time in front."""


class Output(Protocol):
    """Where the lines go."""

    def take(self, data: bytes) -> None:
        """Take a piece of the step's output."""

    def flush(self) -> None:
        """There is no more."""


@dataclass(frozen=True)
class Cursor:
    """How far a log has been taken."""

    last: str = ""
    """Digest of the last line that was taken, its time included."""
    asked_at: float | None = None
    """When the log was last asked for, on this machine's clock; None for never."""


def hand_on(source: Source, pod: str, cursor: Cursor, output: Output, *, now: float, is_final: bool = False) -> Cursor:
    """
    Hand on the lines behind the cursor.

    :param now: this machine's clock, in seconds.
    :param is_final: the step has ended, so that a last line without its end is a line.
    :return: the cursor behind them.
    """
    since = None if cursor.asked_at is None else math.ceil(max(0.0, now - cursor.asked_at)) + MARGIN_SECONDS
    *lines, rest = source.log(pod, since).split(b"\n")
    if is_final and rest:
        lines.append(rest)
    # A line that is older than what was asked for is not there, and then all of them are new.
    taken = next((place for place in reversed(range(len(lines))) if _digest(lines[place]) == cursor.last), -1)
    fresh = lines[taken + 1 :]
    for line in fresh:
        output.take(_STAMP.sub(b"", line, count=1) + b"\n")
    if is_final:
        output.flush()
    return Cursor(last=_digest(fresh[-1]) if fresh else cursor.last, asked_at=now)


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:16]
