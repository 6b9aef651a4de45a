"""What a sleeping task remembers of its pod: a few numbers that travel with it through Airflow's database."""

from dataclasses import dataclass, field, replace
from typing import Any

from plugins.operators.pod.log import Cursor

FIRST_SECONDS = 10.0
LONGEST_SECONDS = 30.0
"""How long a task sleeps at most before it looks at its pod again and hands on what the step wrote since."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a task has come with its pod."""

    since: float
    """When the task began to wait for its pod to start, in seconds since the epoch."""
    pod: str = ""
    """The pod's name once there is one."""
    has_started: bool = False
    """The step has begun to work: nothing waits for room any more."""
    looks: int = 0
    """How often the task looked in vain since something last changed."""
    away_since: float | None = None
    """Since when something that has to answer does not."""
    told: str = ""
    """The reason for waiting that was told last."""
    cursor: Cursor = field(default_factory=Cursor)

    def sleep_seconds(self) -> float:
        """How long to sleep now: longer each time."""
        return min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self.looks, 10))

    def looked(self) -> "Progress":
        """The same after one more look."""
        return replace(self, looks=self.looks + 1)

    def to_json(self) -> dict[str, Any]:
        """As Airflow keeps it."""
        return {
            "since": self.since,
            "pod": self.pod,
            "has_started": self.has_started,
            "looks": self.looks,
            "away_since": self.away_since,
            "told": self.told,
            "cursor": [self.cursor.last, self.cursor.asked_at],
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Progress":
        """As it was kept."""
        last, asked_at = kept["cursor"]
        return cls(**{**kept, "cursor": Cursor(last=last, asked_at=asked_at)})
