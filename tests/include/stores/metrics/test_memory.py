import pytest

from include.errors import ConfigurationError
from include.stores.metrics.memory import MemoryMetrics, NoMetrics
from include.stores.metrics.names import MetricLabels

FLIGHTS = MetricLabels("flights", "late_arrival")


def test_metrics_are_kept_for_tests_to_look_at() -> None:
    metrics = MemoryMetrics()
    metrics.count("step.train.done", FLIGHTS)
    metrics.count("step.train.done", FLIGHTS, 2)
    metrics.gauge("score.mean", FLIGHTS, 0.25)
    metrics.timing("step.train.seconds", FLIGHTS, 1.5)
    assert (metrics.counts, metrics.gauges, metrics.timings) == (
        {"project.flights.step.train.done": 3},
        {"project.flights.model.late_arrival.score.mean": 0.25},
        {"project.flights.step.train.seconds": [1.5]},
    )


@pytest.mark.parametrize("metrics", [MemoryMetrics(), NoMetrics()])
def test_an_unknown_metric_is_refused_in_tests_too(metrics: MemoryMetrics | NoMetrics) -> None:
    with pytest.raises(ConfigurationError, match=r"'step\.train\.don' is no metric.*Did you mean 'step\.train\.done'"):
        metrics.count("step.train.don", FLIGHTS)
