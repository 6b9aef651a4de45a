"""Client of Airflow's REST API for the benchmark of pods: clears one task, reads exact times, fails runs."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

from local_platform.demo.airflow_api import AirflowApi, DagRun

POLL_SECONDS = 0.2
WAIT_SECONDS = 1800.0
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class TaskTimes:
    """When one task was requested, began and ended; UTC."""

    requested: datetime
    began: datetime
    ended: datetime

    @property
    def waited(self) -> float:
        """Seconds until Airflow began it."""
        return (self.began - self.requested).total_seconds()

    @property
    def took(self) -> float:
        """Seconds from its start to its success."""
        return (self.ended - self.began).total_seconds()

    @property
    def whole(self) -> float:
        """Seconds from the request to its success."""
        return (self.ended - self.requested).total_seconds()


class MeasuredAirflow(AirflowApi):
    """An administrator's session."""

    def task_again(self, run: DagRun, task: str) -> datetime:
        """Clear one task of a finished run, and no other; returns the moment of the request."""
        requested = datetime.now(UTC)
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run.run, "task_ids": [task]}
        self._call("POST", f"/dags/{run.dag}/clearTaskInstances", body)
        return requested

    def task_of_all_again(self, dag: str, between: tuple[datetime, datetime], task: str) -> datetime:
        """Clear one task of all runs whose logical date lies between two moments; returns the moment of the request."""
        requested = datetime.now(UTC)
        begin, end = (moment.isoformat() for moment in between)
        body = {"dry_run": False, "only_failed": False, "start_date": begin, "end_date": end}
        self._call("POST", f"/dags/{dag}/clearTaskInstances", {**body, "task_ids": [task]})
        return requested

    def times(self, run: DagRun, task: str, requested: datetime) -> TaskTimes | None:
        """
        When a task began and ended; None while it has not.

        :param requested: starts before this moment belong to an earlier attempt.
        :raises SystemExit: if it failed or was skipped.
        """
        path = f"/dags/{run.dag}/dagRuns/{quote(run.run, safe='')}/taskInstances/{task}"
        row: dict[str, Any] = self._call("GET", path)
        began, ended = _moment(row["start_date"]), _moment(row["end_date"])
        # Until Airflow takes the task up again, it still shows the state and the times of the attempt before.
        if row["state"] in {"failed", "skipped", "upstream_failed"} and began and began > requested:
            message = f"Task {task} of {run.dag} {run.run} is {row['state']}."
            raise SystemExit(f"{message} Look at its log in Airflow; {run.dag} must work before it is measured.")
        if row["state"] != "success" or not (began and ended) or began < requested:
            return None
        return TaskTimes(requested=requested, began=began, ended=ended)

    def task_done(self, run: DagRun, task: str, requested: datetime) -> TaskTimes:
        """Wait until a task that was requested has succeeded."""
        return until(lambda: self.times(run, task, requested), f"task {task} of {run.run}")

    def run_done(self, run: DagRun) -> DagRun:
        """Wait until a run has succeeded."""
        ended = until(lambda: now if (now := self.run(run.dag, run.run)).has_ended else None, run.run)
        if ended.state != "success":
            raise SystemExit(f"Run {run.run} of {run.dag} is {ended.state}. Look at its tasks in Airflow.")
        return ended

    def fail(self, run: DagRun) -> None:
        """Mark a run failed, as a person does in the web UI."""
        self._call("PATCH", f"/dags/{run.dag}/dagRuns/{quote(run.run, safe='')}", {"state": "failed"})

    def backfill_again(self, dag: str, begin: datetime, end: datetime, max_active_runs: int) -> None:
        """Run all intervals between two moments in one backfill, also those that have a run."""
        body = {
            "dag_id": dag,
            "from_date": begin.isoformat(),
            "to_date": end.isoformat(),
            "run_backwards": False,
            "dag_run_conf": {},
            "max_active_runs": max_active_runs,
            "reprocess_behavior": "completed",
        }
        self._call("POST", "/backfills", body)


def until(look: Callable[[], Value | None], what: str, seconds: float = WAIT_SECONDS) -> Value:
    """Poll until there is a value; ends the program after ``seconds``."""
    deadline = time.monotonic() + seconds
    while (value := look()) is None:
        if time.monotonic() > deadline:
            raise SystemExit(f"Gave up waiting for {what} after {seconds:.0f} s.")
        time.sleep(POLL_SECONDS)
    return value


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
