"""Counters, gauges and timings for operators: StatsD over UDP."""

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from include.stores.metrics.names import MetricLabels, series

# The exporter's mapping in helm-values begins with it.
_PREFIX = "ml_platform"


@dataclass(frozen=True)
class StatsdMetrics:
    """
    See :class:`~include.stores.metrics.protocol.MetricsStore`; metrics by UDP, sent and forgotten.

    A daemon that is down, or whose name does not resolve, costs the metric and nothing else.
    """

    host: str
    port: int

    def count(self, name: str, labels: MetricLabels, value: int = 1) -> None:
        """Add to a counter."""
        series_name = series(name, labels)
        self._report(lambda client: client.incr(series_name, value))

    def gauge(self, name: str, labels: MetricLabels, value: float) -> None:
        """Set a gauge."""
        series_name = series(name, labels)
        self._report(lambda client: client.gauge(series_name, value))

    def timing(self, name: str, labels: MetricLabels, seconds: float) -> None:
        """Report a duration."""
        series_name = series(name, labels)
        # StatsD counts in milliseconds.
        self._report(lambda client: client.timing(series_name, seconds * 1000))

    def _report(self, send: Callable[[Any], None]) -> None:
        """Send one metric through a socket of its own; whatever the network refuses ends here."""
        # Resolved here: statsd's client resolves in its constructor, and an unknown name would raise there at each
        # metric.
        if self._address is None:
            return
        import statsd

        # statsd drops what sending raises; this is for what opening a socket does, such as no descriptors left.
        with contextlib.suppress(OSError):
            client = statsd.StatsClient(self._address, self.port, prefix=_PREFIX, ipv6=":" in self._address)
            try:
                send(client)
            finally:
                client.close()

    @cached_property
    def _address(self) -> str | None:
        """The host's address, looked up once; None if there is none."""
        try:
            return str(socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)[0][4][0])
        except OSError:
            return None
