"""Metric names: the closed list of StatsD, and what the model server's page holds."""

import re
from collections.abc import Iterator
from enum import Enum

from docs._ext.docstrings import documented
from docs._ext.markdown import code, table
from include.serving.service_metrics import ServiceMetrics
from include.stores.metrics import statsd


def markdown() -> str:
    """The names that steps report, with the prefix that every one has."""
    rows = [*_members("ml_platform.", statsd.MetricName), *_members("ml_platform.step.<step>.", statsd.StepMetric)]
    return table(("name", "meaning"), rows)


def served_markdown() -> str:
    """The names on ``/metrics``, from a page of a server that has answered once."""
    metrics = ServiceMetrics(labels={"model": "flights"})
    metrics.request("/invocations", 200, 0.002)
    metrics.batch(1, 1, 0.001)
    text = metrics.text()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    meanings = re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE)
    return table(("name", "kind", "meaning"), [(code(name), kinds[name], meaning) for name, meaning in meanings])


def _members(prefix: str, names: type[Enum]) -> Iterator[tuple[str, str]]:
    told = documented(names)
    for member in names:
        yield code(prefix + str(member.value)), told[member.name]
