import io
from datetime import UTC, datetime

import rich.console

from local_platform.console import Console
from local_platform.demo.airflow_api import AirflowApi, DagRun, TaskInstance
from local_platform.demo.watch import Watch, Watched, cells_of, first_failure, table_of


def task(name: str, state: str, *, minute: int | None = 0, map_index: int = -1) -> TaskInstance:
    started = None if minute is None else datetime(2013, 1, 1, 0, minute, tzinfo=UTC)
    return TaskInstance(
        dag="d", run="r", task=name, map_index=map_index, label="", state=state, try_number=1, seconds=1.5,
        started_at=started,
    )  # fmt: skip


def run(state: str) -> DagRun:
    return DagRun(dag="d", run="r", state=state, logical_date=None, conf={})


class TwoLooks(AirflowApi):
    """An Airflow in which everything is over at the second look."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9", "", "")
        self._looks = 0

    def runs(self, dag: str, **filters: str) -> list[DagRun]:  # noqa: ARG002 (what the real one takes)
        self._looks += 1
        return [run("running" if self._looks == 1 else "success")]

    def tasks(self, dag: str, runs: object) -> list[TaskInstance]:  # noqa: ARG002
        return [task("ingest", "running" if self._looks == 1 else "success")]


def test_mapped_copies_are_one_cell() -> None:
    (cell,) = cells_of([task("ingest", "success", map_index=0), task("ingest", "running", map_index=1)])
    assert (cell.state, cell.finished, cell.total) == ("running", 1, 2)
    assert str(cell) == "▶ ingest 1/2"


def test_a_failed_copy_shows_in_its_cell() -> None:
    (cell,) = cells_of([task("ingest", "success", map_index=0), task("ingest", "failed", map_index=1)])
    assert str(cell) == "✗ ingest 2/2"


def test_copies_that_run_side_by_side_take_from_the_first_start_to_the_last_end() -> None:
    at_once = [task("ingest", "success", map_index=number) for number in range(5)]
    (cell,) = cells_of(at_once)
    assert cell.seconds == 1.5
    (cell,) = cells_of([*at_once, task("ingest", "success", minute=1, map_index=5)])
    assert cell.seconds == 61.5
    (cell,) = cells_of([task("ingest", "skipped", minute=None)])
    assert cell.seconds == 0.0


def test_a_table_has_a_line_for_each_run_and_a_column_for_each_task() -> None:
    ahead = cells_of([task("ingest", "success"), task("validate", "running", minute=1)])
    behind = cells_of([task("validate", "none", minute=None), task("ingest", "failed", minute=None, map_index=0)])
    stream = io.StringIO()
    shown = rich.console.Console(file=stream, width=60)
    shown.print(table_of("flights_data", [("2013-03", ahead), ("2013-04", behind), ("2013-05", [])]))
    assert [line.split() for line in stream.getvalue().splitlines()] == [
        ["flights_data", "ingest", "validate"],
        ["2013-03", "✓", "1.5", "s", "▶"],
        ["2013-04", "✗"],
        ["2013-05"],
    ]


def test_cells_come_in_the_order_in_which_tasks_started() -> None:
    cells = cells_of([task("c", "none", minute=None), task("b", "running", minute=2), task("a", "success", minute=1)])
    assert [cell.task for cell in cells] == ["a", "b", "c"]


def test_without_a_terminal_each_end_is_one_line() -> None:
    stream = io.StringIO()
    watch = Watch(TwoLooks(), Console(stream), lambda: None)
    (ended,) = watch.wait(Watched("d", {"r": "2013-03"}))
    assert ended.state == "success"
    (line,) = stream.getvalue().splitlines()
    assert "d 2013-03" in line
    assert line.endswith("✓ ingest           success in 1.5 s")


def test_the_failure_is_the_task_that_failed_first() -> None:
    class Failed(TwoLooks):
        def tasks(self, dag: str, runs: object) -> list[TaskInstance]:  # noqa: ARG002
            return [task("late", "failed", minute=5), task("early", "failed", minute=1), task("x", "upstream_failed")]

    failure = first_failure(Failed(), [run("failed")])
    assert failure
    assert failure.task == "early"
