"""Metrics that are kept in the process: for tests of steps and projects."""

from dataclasses import dataclass, field

from include.stores.metrics.statsd import checked_name


@dataclass
class MemoryMetrics:
    """See :class:`~include.stores.metrics.protocol.MetricsStore`; keeps what was reported."""

    counts: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    timings: dict[str, list[float]] = field(default_factory=dict)

    def count(self, name: str, value: int = 1) -> None:
        """Add to a counter."""
        self.counts[checked_name(name)] = self.counts.get(name, 0) + value

    def gauge(self, name: str, value: float) -> None:
        """Set a gauge."""
        self.gauges[checked_name(name)] = value

    def timing(self, name: str, seconds: float) -> None:
        """Report a duration."""
        self.timings.setdefault(checked_name(name), []).append(seconds)
