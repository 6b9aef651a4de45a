import pytest

from include.contract.receipt import Outcome, OutcomeStatus
from include.stores.metrics.memory import MemoryMetrics
from include.stores.metrics.outcome import report_outcome


@pytest.mark.parametrize("status", OutcomeStatus)
def test_every_way_in_which_a_step_ends_is_counted(status: OutcomeStatus) -> None:
    metrics = MemoryMetrics()
    outcome = Outcome(
        status=status, exit_code=0, step="score", project="p", subject="2013-03", run="r", attempt=1, seconds=2.5
    )
    report_outcome(metrics, outcome)
    assert metrics.counts == {f"project.p.step.score.{status.value}": 1}
    assert metrics.timings == {"project.p.step.score.seconds": [2.5]}
