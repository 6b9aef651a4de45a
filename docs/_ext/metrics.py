"""Metric names: the closed list of what steps report, and what the model server's page holds."""

import re
from collections.abc import Iterator
from typing import TypeVar

from docs._ext.docstrings import documented
from docs._ext.markdown import code, table
from include.contract.step_names import StepName
from include.serving.service_metrics import ServiceMetrics
from include.stores.metrics.names import MetricLabels, MetricName, StepMetric, of_step, series

M = TypeVar("M", MetricName, StepMetric)
PREFIX = "ml_platform"
EXAMPLE = MetricLabels(project="PROJECT", model="MODEL")


def markdown() -> str:
    """The names that steps report, as StatsD knows them."""
    rows = [(_shown(metric), meaning) for metric, meaning in _members(MetricName)]
    rows += [(_shown(of_step(StepName.INGEST, metric)), meaning) for metric, meaning in _members(StepMetric)]
    return table(("name", "meaning"), rows)


def served_markdown() -> str:
    """The names on ``/metrics``, from a page of a server that has answered once."""
    text = ServiceMetrics(labels={"model": "flights"}).text()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    meanings = re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)
    return table(("name", "kind", "meaning"), [(code(name), kinds[name], meaning) for name, meaning in meanings])


def _shown(name: str) -> str:
    text = series(name, EXAMPLE).replace(f"step.{StepName.INGEST.value}", "step.<step>")
    return code(f"{PREFIX}.{text.replace('PROJECT', '<project>').replace('MODEL', '<model>')}")


def _members(names: type[M]) -> Iterator[tuple[M, str]]:
    meanings = documented(names)
    for member in names:
        yield member, meanings[member.name]
