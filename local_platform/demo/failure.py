"""Why a run failed: the task, its own one line, and where its log lies."""

from collections.abc import Sequence
from pathlib import Path

from include.contract.layout import outcomes_prefix
from include.contract.receipt import Outcome, OutcomeStatus
from include.runtime.receipts import ReceiptReader
from local_platform.demo.airflow_api import AirflowApi, DagRun, TaskInstance
from local_platform.demo.watch import first_failure
from local_platform.locations import State
from local_platform.services.fleet import tail


def explain(api: AirflowApi, state: State, evidence: ReceiptReader, failed: Sequence[DagRun]) -> str:
    """Lines for a person: which task failed, what it said, where to read on."""
    task = first_failure(api, failed)
    if task is None:
        return f"No task of {failed[0].run} failed by itself; look at the run in Airflow ('make up' shows where)."
    name = f"{task.task} {task.label}".strip()
    log = log_of(state, task)
    said = _message(evidence, task) or f"the end of its log:\n{tail(log)}"
    return f"Task {name} of {task.dag}, run {task.run}, try {task.try_number}: {said}\nIts log: {log}"


def log_of(state: State, task: TaskInstance) -> Path:
    """Where Airflow keeps the log of a task's last try."""
    folder = state.airflow / "logs" / f"dag_id={task.dag}" / f"run_id={task.run}" / f"task_id={task.task}"
    if task.map_index >= 0:
        folder /= f"map_index={task.map_index}"
    return folder / f"attempt={task.try_number}.log"


def _message(evidence: ReceiptReader, task: TaskInstance) -> str:
    """The one line that the step itself wrote down, if it came so far."""
    prefix = outcomes_prefix(evidence.project, task.run)
    for key in reversed(evidence.objects.list(prefix)):
        outcome = Outcome.model_validate_json(evidence.objects.get(key))
        if outcome.status is OutcomeStatus.FAILED and _is_of(outcome, task):
            return outcome.message
    return ""


def _is_of(outcome: Outcome, task: TaskInstance) -> bool:
    """Whether a task ended so; a mapped one says in its label what its step worked on."""
    if task.label:
        return outcome.step == task.task and task.label in outcome.subject
    return outcome.task == task.task
