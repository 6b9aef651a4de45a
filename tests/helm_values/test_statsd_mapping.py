"""Each metric of the closed list has one name, its labels and its type in Prometheus."""

import re
from typing import Any

import pytest
import yaml

from include.contract.step_names import StepName
from include.stores.metrics.statsd import NAMES, MetricName, StepMetric, of_step
from local_platform.locations import REPOSITORY

FILE = REPOSITORY / "helm-values" / "cluster" / "base" / "statsd" / "mapping.yaml"
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
            pattern = "^" + re.escape(mapping["match"]).replace(r"\*", "([^.]+)") + "$"
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
    assert found(mappings, f"ml_platform.{name}", kind_of(name)).get("action") != "drop"


@pytest.mark.parametrize("step", StepName)
def test_step_and_outcome_are_labels(mappings: list[dict[str, Any]], step: StepName) -> None:
    for metric in set(StepMetric) - {StepMetric.SECONDS}:
        mapping = found(mappings, f"ml_platform.{of_step(step, metric)}", "counter")
        assert mapping["name"] == "ml_platform_step_calls_total"
        assert mapping["labels"] == {"step": step.value, "outcome": metric.value}
    seconds = found(mappings, f"ml_platform.{of_step(step, StepMetric.SECONDS)}", "observer")
    assert (seconds["name"], seconds["labels"]) == ("ml_platform_step_seconds", {"step": step.value})


@pytest.mark.parametrize("name", ["ml_platform.rows.flights", "somebody.elses", "ml_platform.step.train.run_17"])
def test_anything_else_is_dropped(mappings: list[dict[str, Any]], name: str) -> None:
    assert found(mappings, name, "counter")["action"] == "drop"
