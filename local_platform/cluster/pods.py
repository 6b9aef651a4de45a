"""What the summary of a run on a cluster tells beside that of a local one."""

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
    """Blocks of the summary: how long pods took, and from where the served model comes."""
    tasks = [task for dag, runs in done.runs.items() for task in api.tasks(dag, [run.run for run in runs])]
    findings = Findings(evidence, all_runs(done))
    return {"Pods": pods(tasks, findings.outcomes), "Served from": served_from(findings)}


def pods(tasks: Sequence[TaskInstance], outcomes: Sequence[Outcome]) -> Iterator[str]:
    """How long pods worked, and how long their tasks took: with the wait for room, the image and the way to a node."""
    whole, work = _seconds_by_step(tasks), _work_by_step(outcomes)
    for step, values in sorted(whole.items(), key=lambda item: -sum(item[1])):
        count = f"{len(values)} pod{'s' if len(values) > 1 else ''}"
        worked = f"worked {seconds(median(work[step]))} and " if work.get(step) else ""
        yield f"{step:<20} {count:>8}, half of them {worked}took {seconds(median(values))} or less"


def _seconds_by_step(tasks: Sequence[TaskInstance]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for task in tasks:
        if task.state == "success" and task.seconds is not None:
            found.setdefault(task.task, []).append(task.seconds)
    return found


def _work_by_step(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.task, []).append(outcome.seconds)
    return found


def served_from(findings: Findings) -> Iterator[str]:
    """The model's artifact in the registry, and how the model server gets at it."""
    for receipt in findings.receipts(StepName.PACKAGE):
        packaged = receipt.results_of(PackageResults)
        yield f"{'artifact':<20} {packaged.artifact or 'none: it was packaged without a registry'}"
    for receipt in findings.receipts(StepName.DEPLOY):
        deployed = receipt.results_of(DeployResults)
        yield f"{'gets into its pods':<20} by {deployed.bundle_by or 'no cluster: it was deployed elsewhere'}"
