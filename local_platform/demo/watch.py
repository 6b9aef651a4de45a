"""Waiting for runs, with a live table of their tasks on a terminal and one line for each change elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from local_platform.console import Console, seconds
from local_platform.demo.airflow_api import AirflowApi, DagRun, TaskInstance

POLL_SECONDS = 1.0
SIGNS = {
    "success": "✓", "failed": "✗", "upstream_failed": "·", "skipped": "-", "running": "▶", "up_for_retry": "↻",
    "queued": "…", "scheduled": "…", "restarting": "↻",
}  # fmt: skip
FINISHED = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})


@dataclass(frozen=True)
class Watched:
    """Runs to wait for, each with the word that a person knows it by."""

    dag: str
    labels: Mapping[str, str]
    """Run id to word: ``2013-03``."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Filters of Airflow's API that find these runs, and perhaps others of the DAG."""


@dataclass(frozen=True)
class Cell:
    """One task of one run; its mapped copies are one cell."""

    task: str
    total: int
    finished: int
    state: str
    seconds: float

    def __str__(self) -> str:
        count = f" {self.finished}/{self.total}" if self.total > 1 else ""
        return f"{SIGNS.get(self.state, ' ')} {self.task}{count}"


class Watch:
    """Waits until all runs ended."""

    def __init__(self, api: AirflowApi, console: Console, is_well: Callable[[], None]) -> None:
        self._api = api
        self._console = console
        self._is_well = is_well
        self._began = time.monotonic()
        self._said: set[tuple[str, str, str]] = set()

    def wait(self, *watched: Watched) -> list[DagRun]:
        """
        Wait for runs.

        :return: the runs as they ended.
        :raises JobFailedError: if a service fell over in the meantime.
        """
        looks = [_Look(group) for group in watched]
        while True:
            self._is_well()
            block = [line for look in looks for line in self._draw(look)]
            if all(look.is_over for look in looks):
                self._console.draw([])
                return [run for look in looks for run in look.runs.values()]
            self._console.draw([*block, f"  {seconds(time.monotonic() - self._began)}"])
            time.sleep(POLL_SECONDS)

    def _draw(self, look: "_Look") -> list[str]:
        look.refresh(self._api)
        block: list[str] = []
        for run, label in sorted(look.group.labels.items(), key=lambda item: item[1]):
            cells = look.cells.get(run, [])
            block.append(f"  {look.group.dag} {label:<8} {'  '.join(map(str, cells))}")
            self._say_changes(f"{look.group.dag} {label}", run, cells)
        return block

    def _say_changes(self, name: str, run: str, cells: Sequence[Cell]) -> None:
        if self._console.is_live:
            return
        for cell in cells:
            key = (run, cell.task, cell.state)
            if cell.finished == cell.total and key not in self._said:
                self._said.add(key)
                passed = seconds(time.monotonic() - self._began)
                self._console.say(f"  {passed:>8}  {name:<26} {cell!s:<18} {cell.state} in {seconds(cell.seconds)}")


class _Look:
    """What is known of some runs; asks only for the tasks of those that move."""

    def __init__(self, group: Watched) -> None:
        self.group = group
        self.runs: dict[str, DagRun] = {}
        self.cells: dict[str, list[Cell]] = {}

    @property
    def is_over(self) -> bool:
        return set(self.runs) == set(self.group.labels) and all(run.has_ended for run in self.runs.values())

    def refresh(self, api: AirflowApi) -> None:
        for run in api.runs(self.group.dag, **self.group.filters):
            before = self.runs.get(run.run)
            if run.run not in self.group.labels or (before and before.has_ended):
                continue
            self.runs[run.run] = run
            if run.state != "queued":
                self.cells[run.run] = cells_of(api.tasks(run.dag, [run.run]))


def cells_of(tasks: Sequence[TaskInstance]) -> list[Cell]:
    """One cell for each task of one run, in the order in which they started; those that did not come last."""
    groups: dict[str, list[TaskInstance]] = {}
    late = float("inf")
    for task in sorted(tasks, key=lambda task: task.started_at.timestamp() if task.started_at else late):
        groups.setdefault(task.task, []).append(task)
    return [_cell(name, group) for name, group in groups.items()]


def _cell(name: str, group: Sequence[TaskInstance]) -> Cell:
    states = {task.state for task in group}
    order = ("failed", "up_for_retry", "running", "restarting", "queued", "scheduled", "upstream_failed")
    state = next((state for state in order if state in states), group[0].state)
    if "none" in states and state in {"success", "skipped"}:
        state = "running"
    return Cell(
        task=name,
        total=len(group),
        finished=sum(task.state in FINISHED for task in group),
        state=state,
        seconds=sum(task.seconds or 0.0 for task in group),
    )


def first_failure(api: AirflowApi, runs: Sequence[DagRun]) -> TaskInstance | None:
    """The task by which the first of the failed runs failed."""
    for run in runs:
        failed = [task for task in api.tasks(run.dag, [run.run]) if task.state == "failed"]
        if failed:
            return min(failed, key=lambda task: task.started_at.timestamp() if task.started_at else 0.0)
    return None
