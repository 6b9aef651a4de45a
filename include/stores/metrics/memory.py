"""Metrics that are kept in the process, for tests of steps and projects, and metrics that are dropped."""

from dataclasses import dataclass, field

from include.stores.metrics.names import MetricLabels, series


@dataclass
class MemoryMetrics:
    """See :class:`~include.stores.metrics.protocol.MetricsStore`; keeps what was reported, by series."""

    counts: dict[str, int] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)
    timings: dict[str, list[float]] = field(default_factory=dict)
    """In seconds."""

    def count(self, name: str, labels: MetricLabels, value: int = 1) -> None:
        """Add to a counter."""
        series_name = series(name, labels)
        self.counts[series_name] = self.counts.get(series_name, 0) + value

    def gauge(self, name: str, labels: MetricLabels, value: float) -> None:
        """Set a gauge."""
        self.gauges[series(name, labels)] = value

    def timing(self, name: str, labels: MetricLabels, seconds: float) -> None:
        """Report a duration."""
        self.timings.setdefault(series(name, labels), []).append(seconds)


class NoMetrics:
    """Where no daemon is set: names and labels are checked, values are dropped."""

    def count(self, name: str, labels: MetricLabels, value: int = 1) -> None:  # noqa: ARG002 (the protocol's)
        """Add to a counter."""
        series(name, labels)

    def gauge(self, name: str, labels: MetricLabels, value: float) -> None:  # noqa: ARG002 (the protocol's)
        """Set a gauge."""
        series(name, labels)

    def timing(self, name: str, labels: MetricLabels, seconds: float) -> None:  # noqa: ARG002 (the protocol's)
        """Report a duration."""
        series(name, labels)
