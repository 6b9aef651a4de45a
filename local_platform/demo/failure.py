"""Why a run failed: the task, its error message, and the path of its log."""

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
    """Lines for a person: which task failed, its error message, the path of its log."""
    task = first_failure(api, failed)
    if task is None:
        return f"No task of {failed[0].run} failed by itself: look at the run in Airflow ('make up' shows where)."
    name = f"{task.task} {task.label}".strip()
    log = log_of(state, task)
    message = _message(evidence, task) or f"the end of its log:\n{tail(log)}"
    return f"Task {name} of {task.dag}, run {task.run}, attempt {task.try_number}: {message}\nIts log: {log}"


def log_of(state: State, task: TaskInstance) -> Path:
    """Path of the log of a task's last attempt."""
    folder = state.airflow / "logs" / f"dag_id={task.dag}" / f"run_id={task.run}" / f"task_id={task.task}"
    if task.map_index >= 0:
        folder /= f"map_index={task.map_index}"
    return folder / f"attempt={task.try_number}.log"


def _message(evidence: ReceiptReader, task: TaskInstance) -> str:
    """The message of the outcome that the step itself wrote; empty if it ended before it could."""
    prefix = outcomes_prefix(evidence.project, task.run)
    # Keys come sorted and hold the attempt: the last one is the newest.
    for key in reversed(evidence.objects.list(prefix)):
        outcome = Outcome.model_validate_json(evidence.objects.get(key))
        if outcome.status is OutcomeStatus.FAILED and _is_of(outcome, task):
            return outcome.message
    return ""


def _is_of(outcome: Outcome, task: TaskInstance) -> bool:
    """Whether an outcome is a task's; the label of a mapped task is the subject of its step."""
    if task.label:
        return outcome.step == task.task and task.label in outcome.subject
    return outcome.task == task.task
