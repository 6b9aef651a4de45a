import pyarrow as pa
import pytest

from include.errors import ConfigurationError
from include.stores.metrics.memory import MemoryMetrics

ROWS = pa.table({"hour": [1, 2]})


def test_metrics_are_kept_for_tests_to_look_at() -> None:
    metrics = MemoryMetrics()
    metrics.count("step.train.done")
    metrics.count("step.train.done", 2)
    metrics.gauge("score.mean", 0.25)
    metrics.timing("step.train.seconds", 1.5)
    assert (metrics.counts, metrics.gauges, metrics.timings) == (
        {"step.train.done": 3},
        {"score.mean": 0.25},
        {"step.train.seconds": [1.5]},
    )


def test_an_unknown_metric_is_refused_in_tests_too() -> None:
    with pytest.raises(ConfigurationError, match=r"'step\.train\.don' is no metric.*Did you mean 'step\.train\.done'"):
        MemoryMetrics().count("step.train.don")
