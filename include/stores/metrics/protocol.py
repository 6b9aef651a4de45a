"""What a step may report to operators."""

from typing import Protocol


class MetricsStore(Protocol):
    """Counters, gauges and timings, by names of a closed list."""

    def count(self, name: str, value: int = 1) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float) -> None:
        """Set a gauge."""

    def timing(self, name: str, seconds: float) -> None:
        """Report a duration."""
