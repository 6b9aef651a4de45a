"""Waiting for runs, with a live table of their tasks on a terminal and one line for each change elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from local_platform.console import Console, seconds
from local_platform.demo.airflow_api import AirflowApi, DagRun, TaskInstance

POLL_SECONDS = 1.0
SIGNS = {
    "success": "✓", "failed": "✗", "upstream_failed": "·", "skipped": "-", "running": "▶", "up_for_retry": "↻",
    "queued": "…", "scheduled": "…", "restarting": "↻",
}  # fmt: skip
STYLES = {"success": "green", "failed": "red", "running": "yellow", "up_for_retry": "yellow", "restarting": "yellow"}
FINISHED = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})


@dataclass(frozen=True)
class Watched:
    """Runs of one DAG to wait for, each with a label for people."""

    dag: str
    labels: Mapping[str, str]
    """Run id to label, as ``2013-03``."""
    filters: Mapping[str, str] = field(default_factory=dict)
    """Filters of Airflow's API that select these runs; others of the DAG may match too."""


@dataclass(frozen=True)
class Cell:
    """One task of one run; its mapped copies are one cell."""

    task: str
    total: int
    finished: int
    state: str
    seconds: float
    """From the start of the first copy to the end of the last one that has ended."""

    def __str__(self) -> str:
        return f"{self.sign} {self.task}{self.count}"

    @property
    def sign(self) -> str:
        """One character for the state."""
        return SIGNS.get(self.state, " ")

    @property
    def count(self) -> str:
        """How many of its copies are finished; empty if there is but one."""
        return f" {self.finished}/{self.total}" if self.total > 1 else ""

    @property
    def is_finished(self) -> bool:
        """Whether none of its copies has anything left to do."""
        return self.finished == self.total


class Watch:
    """Waits until all runs ended."""

    def __init__(self, api: AirflowApi, console: Console, require_services: Callable[[], None]) -> None:
        self._api = api
        self._console = console
        self._require_services = require_services
        self._began = time.monotonic()
        self._reported: set[tuple[str, str, str]] = set()

    def wait(self, *watched: Watched) -> list[DagRun]:
        """
        Wait for runs.

        :return: the runs after their end, whether they succeeded or failed.
        :raises PlatformStartError: if a service ended in the meantime.
        """
        groups = [_Progress(group) for group in watched]
        with self._console.live() as show:
            while True:
                self._require_services()
                for progress in groups:
                    progress.refresh(self._api)
                    for label, run in progress.rows:
                        self._report_changes(f"{progress.group.dag} {label}", run, progress.cells.get(run, []))
                if all(progress.is_over for progress in groups):
                    return [run for progress in groups for run in progress.runs.values()]
                passed = Text(seconds(time.monotonic() - self._began), style="dim")
                show(Group(*(table_of(progress.group.dag, progress.shown) for progress in groups), passed))
                time.sleep(POLL_SECONDS)

    def _report_changes(self, name: str, run: str, cells: Sequence[Cell]) -> None:
        if self._console.is_live:
            return
        for cell in cells:
            key = (run, cell.task, cell.state)
            if cell.is_finished and key not in self._reported:
                self._reported.add(key)
                passed = seconds(time.monotonic() - self._began)
                self._console.say(f"  {passed:>8}  {name:<26} {cell!s:<18} {cell.state} in {seconds(cell.seconds)}")


class _Progress:
    """State of the runs of one DAG; requests the tasks only of runs that have begun and not ended."""

    def __init__(self, group: Watched) -> None:
        self.group = group
        self.runs: dict[str, DagRun] = {}
        self.cells: dict[str, list[Cell]] = {}

    @property
    def is_over(self) -> bool:
        return set(self.runs) == set(self.group.labels) and all(run.has_ended for run in self.runs.values())

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Label and id of each run, in the order of the labels."""
        return sorted((label, run) for run, label in self.group.labels.items())

    @property
    def shown(self) -> list[tuple[str, list[Cell]]]:
        """Label and cells of each run, in the order of the labels."""
        return [(label, self.cells.get(run, [])) for label, run in self.rows]

    def refresh(self, api: AirflowApi) -> None:
        for run in api.runs(self.group.dag, **self.group.filters):
            before = self.runs.get(run.run)
            if run.run not in self.group.labels or (before and before.has_ended):
                continue
            self.runs[run.run] = run
            # The tasks of a queued run have no state yet; each request costs the API server a query on SQLite.
            if run.state != "queued":
                self.cells[run.run] = cells_of(api.tasks(run.dag, [run.run]))


def table_of(dag: str, rows: Sequence[tuple[str, Sequence[Cell]]]) -> Table:
    """
    The live table of runs of one DAG: a line for each run, a column for each task.

    :param rows: label and cells of each run.
    """
    table = Table(dag, box=None, padding=(0, 2, 0, 0), header_style="dim")
    # The run that came furthest shows in which order tasks follow each other.
    by_progress = sorted((cells for _, cells in rows), key=lambda cells: -sum(cell.is_finished for cell in cells))
    tasks = list(dict.fromkeys(cell.task for cells in by_progress for cell in cells))
    for task in tasks:
        table.add_column(task, no_wrap=True)
    for label, cells in rows:
        by_task = {cell.task: cell for cell in cells}
        table.add_row(label, *(_shown(by_task.get(task)) for task in tasks))
    return table


def _shown(cell: Cell | None) -> RenderableType:
    if cell is None:
        return ""
    took = f" {seconds(cell.seconds)}" if cell.is_finished and cell.seconds else ""
    return Text(f"{cell.sign}{cell.count}{took}", style=STYLES.get(cell.state, "dim"))


def cells_of(tasks: Sequence[TaskInstance]) -> list[Cell]:
    """One cell for each task of one run, in the order in which they started; tasks that did not start come last."""
    groups: dict[str, list[TaskInstance]] = {}
    late = float("inf")
    for task in sorted(tasks, key=lambda task: task.started_at.timestamp() if task.started_at else late):
        groups.setdefault(task.task, []).append(task)
    return [_cell(name, group) for name, group in groups.items()]


def _cell(name: str, group: Sequence[TaskInstance]) -> Cell:
    states = {task.state for task in group}
    order = ("failed", "up_for_retry", "running", "restarting", "queued", "scheduled", "upstream_failed")
    state = next((state for state in order if state in states), group[0].state)
    # Mapped copies that are not scheduled yet: the task as a whole has not ended.
    if "none" in states and state in {"success", "skipped"}:
        state = "running"
    return Cell(
        task=name,
        total=len(group),
        finished=sum(task.state in FINISHED for task in group),
        state=state,
        seconds=_span(group),
    )


def _span(group: Sequence[TaskInstance]) -> float:
    """Seconds from the first start to the last end, of the copies that have ended; copies run side by side."""
    ended = [(task.started_at.timestamp(), task.seconds) for task in group if task.started_at and task.seconds]
    if not ended:
        return 0.0
    return max(began + took for began, took in ended) - min(began for began, _ in ended)


def first_failure(api: AirflowApi, runs: Sequence[DagRun]) -> TaskInstance | None:
    """The task that failed first in the first of the failed runs; None if no task failed by itself."""
    for run in runs:
        failed = [task for task in api.tasks(run.dag, [run.run]) if task.state == "failed"]
        if failed:
            return min(failed, key=lambda task: task.started_at.timestamp() if task.started_at else 0.0)
    return None
