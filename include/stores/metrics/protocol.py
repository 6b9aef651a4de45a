"""What a step may report to operators."""

from typing import Protocol

from include.stores.metrics.names import MetricLabels


class MetricsStore(Protocol):
    """
    Counters, gauges and timings, by names of a closed list, kept apart by project and model.

    Reporting never fails because of the network: a metric that cannot be sent is lost.
    """

    def count(self, name: str, labels: MetricLabels, value: int = 1) -> None:
        """
        Add to a counter.

        :raises ConfigurationError: if the name is not of the closed list, or the labels do not fit it.
        """

    def gauge(self, name: str, labels: MetricLabels, value: float) -> None:
        """
        Set a gauge.

        :raises ConfigurationError: as ``count``.
        """

    def timing(self, name: str, labels: MetricLabels, seconds: float) -> None:
        """
        Report a duration, in seconds.

        :raises ConfigurationError: as ``count``.
        """
