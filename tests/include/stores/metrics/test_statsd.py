import socket
from collections.abc import Callable, Iterator

import pytest

from include.errors import ConfigurationError
from include.stores.metrics.names import MetricLabels, MetricName
from include.stores.metrics.open import open_metrics
from include.stores.metrics.protocol import MetricsStore

FLIGHTS = MetricLabels("flights", "late")
CHURN = MetricLabels("churn", "late")


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as result:
        result.bind(("127.0.0.1", 0))
        result.settimeout(10)
        yield result


def _open(daemon: socket.socket) -> MetricsStore:
    return open_metrics(f"127.0.0.1:{daemon.getsockname()[1]}")


@pytest.mark.parametrize(
    ("report", "packet"),
    [
        (lambda metrics: metrics.count("step.train.done", FLIGHTS), b"step.train.done:1|c"),
        (lambda metrics: metrics.count(MetricName.ROWS_QUARANTINED, FLIGHTS, 250), b"rows.quarantined:250|c"),
        (lambda metrics: metrics.gauge("model.roc_auc", FLIGHTS, 0.75), b"model.late.roc_auc:0.75|g"),
        (lambda metrics: metrics.timing("step.train.seconds", FLIGHTS, 1.5), b"step.train.seconds:1500.000000|ms"),
    ],
)
def test_a_daemon_hears_what_is_reported(
    daemon: socket.socket, report: Callable[[MetricsStore], None], packet: bytes
) -> None:
    report(_open(daemon))
    assert daemon.recv(1000) == b"ml_platform.project.flights." + packet


def test_gauges_of_two_projects_are_kept_apart(daemon: socket.socket) -> None:
    metrics = _open(daemon)
    metrics.gauge("model.roc_auc", FLIGHTS, 0.75)
    metrics.gauge("model.roc_auc", CHURN, 0.5)
    assert {daemon.recv(1000) for _ in range(2)} == {
        b"ml_platform.project.flights.model.late.roc_auc:0.75|g",
        b"ml_platform.project.churn.model.late.roc_auc:0.5|g",
    }


@pytest.mark.parametrize("address", [None, "", "127.0.0.1:9"])
@pytest.mark.parametrize("name", ["step.train.dne", "step.train.done.2013-03", "step.flights.done", ""])
def test_a_name_outside_the_closed_list_is_refused(address: str | None, name: str) -> None:
    metrics = open_metrics(address)
    for report in (
        lambda name: metrics.count(name, FLIGHTS),
        lambda name: metrics.gauge(name, FLIGHTS, 1.0),
        lambda name: metrics.timing(name, FLIGHTS, 1.0),
    ):
        with pytest.raises(
            ConfigurationError, match=rf"'{name}' is no metric of the closed list in include/stores/metrics/names\.py"
        ):
            report(name)


@pytest.mark.parametrize("address", [None, "127.0.0.1:9", "no-such-host.invalid:8125", "[::1]:9"])
def test_a_daemon_that_is_away_costs_the_metric_and_nothing_else(address: str | None) -> None:
    metrics = open_metrics(address)
    for _ in range(3):
        metrics.count("step.train.done", FLIGHTS)
        metrics.gauge("score.mean", FLIGHTS, 0.5)
        metrics.timing("step.train.seconds", FLIGHTS, 0.1)
