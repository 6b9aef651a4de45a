"""Blocks of the summary that a run on a cluster adds: durations of pods, and the origin of the served model."""

from collections.abc import Iterator, Sequence
from statistics import median

from include.contract.receipt import Outcome
from include.contract.results import DeployResults, PackageResults
from include.contract.step_names import StepName
from include.runtime.receipts import ReceiptReader
from local_platform.console import seconds
from local_platform.demo.airflow_api import AirflowApi, TaskInstance
from local_platform.demo.summary import Blocks, Findings, all_runs
from local_platform.demo.year_job import Done


def blocks(api: AirflowApi, done: Done, evidence: ReceiptReader) -> Blocks:
    """Blocks of the summary: durations of pods, and the origin of the served model."""
    tasks = [task for dag, runs in done.runs.items() for task in api.tasks(dag, [run.run for run in runs])]
    findings = Findings(evidence, all_runs(done))
    return {"Pods": pods(tasks, findings.outcomes), "Served from": served_from(findings)}


def pods(tasks: Sequence[TaskInstance], outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Median seconds of work in a pod, and of its task: with the wait for quota, scheduling and image pull, by step."""
    whole, work = _seconds_by_step(tasks), _work_by_step(outcomes)
    for step, values in sorted(whole.items(), key=lambda item: -sum(item[1])):
        count = f"{len(values)} pod{'s' if len(values) > 1 else ''}"
        worked = f"worked {seconds(median(work[step]))} and " if work.get(step) else ""
        yield f"{step:<20} {count:>8}, half of them {worked}took {seconds(median(values))} or less"


def _seconds_by_step(tasks: Sequence[TaskInstance]) -> dict[str, list[float]]:
    by_step: dict[str, list[float]] = {}
    for task in tasks:
        if task.state == "success" and task.seconds is not None:
            by_step.setdefault(task.task, []).append(task.seconds)
    return by_step


def _work_by_step(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    by_step: dict[str, list[float]] = {}
    for outcome in outcomes:
        by_step.setdefault(outcome.task, []).append(outcome.seconds)
    return by_step


def served_from(findings: Findings) -> Iterator[str]:
    """The model's artifact in the artifact registry, and how its pods mount it."""
    for receipt in findings.receipts(StepName.PACKAGE):
        packaged = receipt.results_of(PackageResults)
        yield f"{'artifact':<20} {packaged.artifact or 'none: it was packaged without an artifact registry'}"
    for receipt in findings.receipts(StepName.DEPLOY):
        deployed = receipt.results_of(DeployResults)
        yield f"{'gets into its pods':<20} by {deployed.bundle_by or 'no cluster: it was deployed elsewhere'}"
