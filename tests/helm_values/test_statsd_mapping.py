"""Each metric of the closed list has one name, its labels and its type in Prometheus."""

import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from include.contract.step_names import StepName
from include.stores.metrics.names import MODEL_METRICS, NAMES, MetricLabels, MetricName, StepMetric, of_step, series
from include.stores.metrics.open import open_metrics
from local_platform.locations import REPOSITORY
from tests.support.servers.mlflow_server import free_port

FILE = REPOSITORY / "helm-values" / "cluster" / "base" / "statsd" / "mapping.yaml"
LABELS = MetricLabels("flights", "late_arrival")
EXPORTER = shutil.which("statsd_exporter")
COUNTERS = {MetricName.ROWS_QUARANTINED, MetricName.MODEL_DEPLOYED}


@pytest.fixture(scope="module")
def mappings() -> list[dict[str, Any]]:
    mappings: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["mappings"]
    return mappings


def found(mappings: list[dict[str, Any]], name: str, kind: str) -> dict[str, Any]:
    """The first mapping that takes the name as a metric of this type, its label values filled in."""
    for mapping in mappings:
        if mapping.get("match_type") == "regex":
            pattern = mapping["match"]
        else:
            pattern = "^" + re.escape(mapping["match"]).replace(r"\*", "([^.]*)") + "$"
        matched = re.search(pattern, name)
        if matched and mapping.get("match_metric_type", kind) == kind:
            labels = {
                label: matched[int(value[1:])] if value.startswith("$") else value
                for label, value in mapping.get("labels", {}).items()
            }
            return {**mapping, "labels": labels}
    raise AssertionError(name)


def kind_of(name: str) -> str:
    if name.endswith(".seconds"):
        return "observer"
    return "counter" if name.startswith("step.") or name in COUNTERS else "gauge"


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_metric_is_kept(mappings: list[dict[str, Any]], name: str) -> None:
    mapping = found(mappings, f"ml_platform.{series(name, LABELS)}", kind_of(name))
    assert mapping.get("action") != "drop"
    assert mapping["labels"]["project"] == "flights"
    assert mapping["labels"].get("model") == ("late_arrival" if name in MODEL_METRICS else None)
    assert ("model" in mapping["labels"]) == (name in MODEL_METRICS)


@pytest.mark.parametrize("step", StepName)
def test_step_and_outcome_are_labels(mappings: list[dict[str, Any]], step: StepName) -> None:
    for metric in set(StepMetric) - {StepMetric.SECONDS}:
        mapping = found(mappings, f"ml_platform.{series(of_step(step, metric), LABELS)}", "counter")
        assert mapping["name"] == "ml_platform_step_calls_total"
        assert mapping["labels"] == {"project": "flights", "step": step.value, "outcome": metric.value}
    seconds = found(mappings, f"ml_platform.{series(of_step(step, StepMetric.SECONDS), LABELS)}", "observer")
    assert seconds["name"] == "ml_platform_step_seconds"
    assert seconds["labels"] == {"project": "flights", "step": step.value}


@pytest.mark.parametrize(
    "name",
    [
        "ml_platform.rows.flights",
        "somebody.elses",
        "ml_platform.step.train.done",
        "ml_platform.project.flights.step.train.run_17",
        "ml_platform.project.flights.2013-03.step.train.done",
    ],
)
def test_anything_else_is_dropped(mappings: list[dict[str, Any]], name: str) -> None:
    assert found(mappings, name, "counter")["action"] == "drop"


@contextmanager
def exporter() -> Iterator[tuple[int, str]]:
    """The real exporter with the cluster's mapping: its StatsD port, and where it shows its metrics."""
    statsd, web = free_port(), free_port()
    listening = [f"--statsd.listen-udp=127.0.0.1:{statsd}", f"--web.listen-address=127.0.0.1:{web}"]
    words = [str(EXPORTER), f"--statsd.mapping-config={FILE}", "--statsd.listen-tcp=", *listening]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield statsd, f"http://127.0.0.1:{web}/metrics"
        finally:
            process.terminate()


def scraped(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return str(response.read().decode())
    except OSError:
        return ""


def wait_for_metric(url: str, metric: str) -> str:
    until = time.monotonic() + 30
    while metric not in (text := scraped(url)) and time.monotonic() < until:
        time.sleep(0.1)
    return text


@pytest.mark.needs("statsd-exporter")
def test_the_exporter_keeps_the_gauges_of_two_projects_apart() -> None:
    with exporter() as (port, url):
        assert "go_info" in wait_for_metric(url, "go_info")
        metrics = open_metrics(f"127.0.0.1:{port}")
        for project, area in (("flights", 0.75), ("churn", 0.5)):
            metrics.gauge(MetricName.MODEL_ROC_AUC, MetricLabels(project, "late"), area)
            metrics.count("step.train.done", MetricLabels(project))
        text = wait_for_metric(url, 'ml_platform_step_calls_total{outcome="done",project="churn",step="train"}')
    assert 'ml_platform_model_roc_auc{model="late",project="flights"} 0.75' in text
    assert 'ml_platform_model_roc_auc{model="late",project="churn"} 0.5' in text
    assert 'ml_platform_step_calls_total{outcome="done",project="flights",step="train"} 1' in text
