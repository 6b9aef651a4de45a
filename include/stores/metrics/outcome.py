"""How a call of a step ended, as metrics."""

from include.contract.receipt import Outcome
from include.contract.step_names import StepName
from include.stores.metrics.names import MetricLabels, StepMetric, of_step
from include.stores.metrics.protocol import MetricsStore


def report_outcome(metrics: MetricsStore, outcome: Outcome) -> None:
    """Count how a call of a step ended, and how long it took."""
    step, labels = StepName(outcome.step), MetricLabels(outcome.project)
    metrics.count(of_step(step, StepMetric(outcome.status.value)), labels)
    metrics.timing(of_step(step, StepMetric.SECONDS), labels, outcome.seconds)
