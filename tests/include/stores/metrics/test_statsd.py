import socket
from collections.abc import Callable, Iterator

import pytest

from include.contract.receipt import Outcome, OutcomeStatus
from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.stores.metrics.memory import MemoryMetrics
from include.stores.metrics.protocol import MetricsStore
from include.stores.metrics.statsd import NAMES, MetricName, StepMetric, open_metrics, report_outcome


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        found.settimeout(10)
        yield found


def _open(daemon: socket.socket) -> MetricsStore:
    return open_metrics(f"127.0.0.1:{daemon.getsockname()[1]}")


@pytest.mark.parametrize(
    ("report", "packet"),
    [
        (lambda metrics: metrics.count("step.train.done"), b"ml_platform.step.train.done:1|c"),
        (lambda metrics: metrics.count(MetricName.ROWS_QUARANTINED, 250), b"ml_platform.rows.quarantined:250|c"),
        (lambda metrics: metrics.gauge("model.roc_auc", 0.75), b"ml_platform.model.roc_auc:0.75|g"),
        (lambda metrics: metrics.timing("step.train.seconds", 1.5), b"ml_platform.step.train.seconds:1500.000000|ms"),
    ],
)
def test_a_daemon_hears_what_is_reported(
    daemon: socket.socket, report: Callable[[MetricsStore], None], packet: bytes
) -> None:
    report(_open(daemon))
    assert daemon.recv(1000) == packet


@pytest.mark.parametrize("address", [None, "", "127.0.0.1:9"])
@pytest.mark.parametrize("name", ["step.train.dne", "step.train.done.2013-03", "step.flights.done", ""])
def test_a_name_outside_the_closed_list_is_refused(address: str | None, name: str) -> None:
    metrics = open_metrics(address)
    for report in (metrics.count, lambda name: metrics.gauge(name, 1.0), lambda name: metrics.timing(name, 1.0)):
        with pytest.raises(
            ConfigurationError, match=rf"'{name}' is no metric of the closed list in include/stores/metrics\.py"
        ):
            report(name)


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1:0", "127.0.0.1:99999", "http://x:8125", "a b:8125"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no address of a StatsD daemon; write host:port"):
        open_metrics(address)


@pytest.mark.parametrize("address", [None, "127.0.0.1:9", "no-such-host.invalid:8125", "[::1]:9"])
def test_a_daemon_that_is_away_costs_the_metric_and_nothing_else(address: str | None) -> None:
    metrics = open_metrics(address)
    for _ in range(3):
        metrics.count("step.train.done")
        metrics.gauge("score.mean", 0.5)
        metrics.timing("step.train.seconds", 0.1)


@pytest.mark.parametrize("status", OutcomeStatus)
def test_every_way_in_which_a_step_ends_is_counted(status: OutcomeStatus) -> None:
    metrics = MemoryMetrics()
    outcome = Outcome(
        status=status, exit_code=0, step="score", project="p", subject="2013-03", run="r", attempt=1, seconds=2.5
    )
    report_outcome(metrics, outcome)
    assert metrics.counts == {f"step.score.{status.value}": 1}
    assert metrics.timings == {"step.score.seconds": [2.5]}


def test_the_list_is_closed_and_does_not_grow_with_the_data() -> None:
    assert len(NAMES) == len(MetricName) + len(StepName) * len(StepMetric)
    assert not [name for name in NAMES if not name.replace(".", "").replace("_", "").isalpha()]
