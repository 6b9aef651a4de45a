import threading

import pyarrow as pa
import pytest

from include.errors import ConfigurationError
from include.stores.memory import MemoryMetrics, MemoryObjects, MemoryTables

ROWS = pa.table({"hour": [1, 2]})


def test_stamps_are_kept_for_tests_to_look_at() -> None:
    tables = MemoryTables()
    tables.write("flights/raw/weather", "2013-01", ROWS, stamp={"run": "a"})
    assert tables.stamps == [{"run": "a"}]


def test_two_stores_share_nothing() -> None:
    MemoryTables().write("flights/raw/weather", "2013-01", ROWS, stamp={})
    assert MemoryTables().version("flights/raw/weather") is None
    MemoryObjects().create("a", b"1")
    assert MemoryObjects().list("") == []


def test_of_many_threads_one_creates_an_object() -> None:
    objects, made = MemoryObjects(), []
    barrier = threading.Barrier(8)

    def create(name: bytes) -> None:
        barrier.wait()
        made.append(objects.create("a", name))

    threads = [threading.Thread(target=create, args=(bytes([number]),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.count(True) == 1


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
