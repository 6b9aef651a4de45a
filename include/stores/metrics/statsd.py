"""Counters and timings for operators: StatsD over UDP, by names of a closed list."""

import contextlib
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from include.contract.receipt import Outcome
from include.contract.step_names import StepName
from include.errors import ConfigurationError, listed, near

if TYPE_CHECKING:
    from include.stores.metrics.protocol import MetricsStore

_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
_PREFIX = "ml_platform"
_PORT_LIMIT = 65536


class MetricName(StrEnum):
    """
    What is reported beside the metrics of each step.

    None holds a run, a partition or a project: the number of series must not grow with the data.
    """

    ROWS_QUARANTINED = "rows.quarantined"
    """Rows that validation set aside."""
    MODEL_DEPLOYED = "model.deployed"
    """Switches of the served model."""
    MODEL_ROC_AUC = "model.roc_auc"
    """The last evaluated model on its unseen window, 0 to 1."""
    SCORE_MEAN = "score.mean"
    """Mean of the last batch of predictions, 0 to 1."""


class StepMetric(StrEnum):
    """What is reported of each step, as ``step.<word>.<metric>``."""

    DONE = "done"
    """Calls that did their work."""
    ALREADY_DONE = "already_done"
    """Calls that found the receipt of the same work."""
    SKIPPED = "skipped"
    """Calls that had nothing to do."""
    FAILED = "failed"
    """Calls that ended with an error of the tree."""
    SECONDS = "seconds"
    """How long a call took."""


def of_step(step: StepName, metric: StepMetric) -> str:
    """The name of one metric of one step."""
    return f"step.{step.value}.{metric.value}"


NAMES = frozenset(MetricName) | {of_step(step, metric) for step in StepName for metric in StepMetric}
"""The closed list: everything that is ever reported."""


def report_outcome(metrics: "MetricsStore", outcome: Outcome) -> None:
    """Count how a call of a step ended, and how long it took."""
    step = StepName(outcome.step)
    metrics.count(of_step(step, StepMetric(outcome.status.value)))
    metrics.timing(of_step(step, StepMetric.SECONDS), outcome.seconds)


def checked_name(name: str) -> str:
    """
    The name, if it is of the closed list.

    :raises ConfigurationError: if it is not.
    """
    if name not in NAMES:
        message = f"'{name}' is no metric of the closed list in include/stores/metrics/statsd.py; "
        message += "known beside those of the steps: "
        raise ConfigurationError(f"{message}{listed(MetricName)}.{near(name, NAMES)}")
    return name


def open_metrics(address: str | None) -> "MetricsStore":
    """
    Open the metrics.

    :param address: ``host:port`` of a StatsD daemon; None drops everything.
    :raises ConfigurationError: if the address is none.
    """
    if not address:
        return NoMetrics()
    found = _ADDRESS.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < _PORT_LIMIT:
        message = f"'{address}' is no address of a StatsD daemon; write host:port, like 127.0.0.1:8125."
        raise ConfigurationError(message)
    return StatsdMetrics(host=found["host"].strip("[]"), port=int(found["port"]))


class NoMetrics:
    """Where no daemon is set: names are checked, values are dropped."""

    def count(self, name: str, value: int = 1) -> None:  # noqa: ARG002 (the protocol's)
        """Add to a counter."""
        checked_name(name)

    def gauge(self, name: str, value: float) -> None:  # noqa: ARG002 (the protocol's)
        """Set a gauge."""
        checked_name(name)

    def timing(self, name: str, seconds: float) -> None:  # noqa: ARG002 (the protocol's)
        """Report a duration."""
        checked_name(name)


@dataclass(frozen=True)
class StatsdMetrics:
    """
    Metrics by UDP: sent and forgotten.

    A daemon that is away, or whose name is not found, costs the metric and nothing else.
    """

    host: str
    port: int

    def count(self, name: str, value: int = 1) -> None:
        """Add to a counter."""
        self._report(name, lambda client: client.incr(name, value))

    def gauge(self, name: str, value: float) -> None:
        """Set a gauge."""
        self._report(name, lambda client: client.gauge(name, value))

    def timing(self, name: str, seconds: float) -> None:
        """Report a duration."""
        self._report(name, lambda client: client.timing(name, seconds * 1000))

    def _report(self, name: str, send: Callable[[Any], None]) -> None:
        """Send one metric through a socket of its own; whatever the network refuses ends here."""
        checked_name(name)
        if self._address is None:
            return
        import statsd

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
