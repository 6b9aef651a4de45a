"""Waiting for runs, with a live table of their tasks on a terminal and one line for each change elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from local_platform.airflow_api import AirflowApi, DagRun, TaskInstance
from local_platform.console import Console, seconds

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
        ended: dict[tuple[str, str], DagRun] = {}
        while True:
            self._is_well()
            block: list[str] = []
            for group in watched:
                block += self._look(group, ended)
            if len(ended) == sum(len(group.labels) for group in watched):
                self._console.draw([])
                return list(ended.values())
            self._console.draw([*block, f"  {seconds(time.monotonic() - self._began)}"])
            time.sleep(POLL_SECONDS)

    def _look(self, group: Watched, ended: dict[tuple[str, str], DagRun]) -> list[str]:
        """Ask for the tasks of all runs at once, and for a run itself only when its tasks are finished."""
        tasks = self._api.tasks(group.dag, list(group.labels))
        block: list[str] = []
        for run, label in sorted(group.labels.items(), key=lambda item: item[1]):
            cells = cells_of([task for task in tasks if task.run == run])
            if (group.dag, run) not in ended and all(cell.finished == cell.total for cell in cells):
                state = self._api.run(group.dag, run)
                if state.has_ended:
                    ended[group.dag, run] = state
            block.append(f"  {group.dag} {label:<8} {'  '.join(map(str, cells))}")
            self._say_changes(f"{group.dag} {label}", run, cells)
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
