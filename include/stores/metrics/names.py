"""The closed list of metrics, their labels, and the one name by which StatsD knows each series."""

import re
from dataclasses import dataclass
from enum import StrEnum

from include.contract.step_names import StepName
from include.errors import ConfigurationError, listed, near

# The exporter's mapping matches segments by dots; everything else that StatsD or Prometheus reads as syntax goes.
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class MetricLabels:
    """
    Whose metric it is: the only labels beside those in the name of a metric.

    The values are names of the specs, so that the number of series grows with projects and models. Nothing else may
    become one: a run, a partition or a host would let it grow with the data.
    """

    project: str
    model: str | None = None
    """The registered model, for metrics of a model; left out of the others."""


class MetricName(StrEnum):
    """What is reported beside the metrics of each step."""

    ROWS_QUARANTINED = "rows.quarantined"
    """Rows that validation set aside."""
    MODEL_DEPLOYED = "model.deployed"
    """Switches of the served model."""
    MODEL_ROC_AUC = "model.roc_auc"
    """The last evaluated model on its holdout, 0 to 1."""
    SCORE_MEAN = "score.mean"
    """Mean of the model's last batch of predictions, 0 to 1."""


MODEL_METRICS = frozenset({MetricName.MODEL_DEPLOYED, MetricName.MODEL_ROC_AUC, MetricName.SCORE_MEAN})
"""Those of one model: they carry its name."""


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


def series(name: str, labels: MetricLabels) -> str:
    """
    The name of one series: ``project.<project>.step.<word>.done``, ``project.<project>.model.<model>.roc_auc``.

    StatsD has no labels: they are segments, and the exporter's mapping makes labels of them again.

    :raises ConfigurationError: if the name is not of the closed list, or a metric of a model names none.
    """
    known = checked_name(name)
    project = f"project.{_segment(labels.project)}"
    # Without the model in the name, two models of a project would overwrite each other's gauge.
    if known not in MODEL_METRICS:
        return f"{project}.{known}"
    if labels.model is None:
        raise ConfigurationError(f"Metric '{name}' is of a model, and its labels name none.")
    return f"{project}.model.{_segment(labels.model)}.{known.removeprefix('model.')}"


def checked_name(name: str) -> str:
    """
    The name, if it is of the closed list.

    :raises ConfigurationError: if it is not.
    """
    if name not in NAMES:
        message = f"'{name}' is no metric of the closed list in include/stores/metrics/names.py; "
        message += "known beside those of the steps: "
        raise ConfigurationError(f"{message}{listed(MetricName)}.{near(name, NAMES)}")
    return str(name)


def _segment(value: str) -> str:
    """A label's value as one segment: a dot would begin another, and a colon would end the name."""
    return _FOREIGN.sub("_", value)
