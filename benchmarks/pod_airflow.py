"""Airflow's REST API as the benchmark of pods needs it: one task again, exact times, runs that a person ends."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote

from local_platform.demo.airflow_api import AirflowApi, DagRun

POLL_SECONDS = 0.2
END_SECONDS = 1800.0
Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class TaskTimes:
    """When one task was asked for, began and ended."""

    asked: datetime
    began: datetime
    ended: datetime

    @property
    def waited(self) -> float:
        """Seconds until Airflow began it."""
        return (self.began - self.asked).total_seconds()

    @property
    def took(self) -> float:
        """Seconds from its start to its success."""
        return (self.ended - self.began).total_seconds()

    @property
    def whole(self) -> float:
        """Seconds from the request to its success."""
        return (self.ended - self.asked).total_seconds()


class MeasuredAirflow(AirflowApi):
    """An administrator's session."""

    def task_again(self, run: DagRun, task: str) -> datetime:
        """Let one task of a run that ended run again, and no other; gives the moment of the request."""
        asked = datetime.now(UTC)
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run.run, "task_ids": [task]}
        self._call("POST", f"/dags/{run.dag}/clearTaskInstances", body)
        return asked

    def task_of_all_again(self, dag: str, between: tuple[datetime, datetime], task: str) -> datetime:
        """The same for all runs whose logical date lies between two moments, in one request."""
        asked = datetime.now(UTC)
        begin, end = (moment.isoformat() for moment in between)
        body = {"dry_run": False, "only_failed": False, "start_date": begin, "end_date": end}
        self._call("POST", f"/dags/{dag}/clearTaskInstances", {**body, "task_ids": [task]})
        return asked

    def times(self, run: DagRun, task: str, asked: datetime) -> TaskTimes | None:
        """
        When a task began and ended; None while it has not.

        :param asked: since when a start counts.
        :raises SystemExit: if it ended otherwise than well.
        """
        path = f"/dags/{run.dag}/dagRuns/{quote(run.run, safe='')}/taskInstances/{task}"
        row: dict[str, Any] = self._call("GET", path)
        began, ended = _moment(row["start_date"]), _moment(row["end_date"])
        if row["state"] in {"failed", "skipped", "upstream_failed"} and began and began > asked:
            message = f"Task {task} of {run.dag} {run.run} is {row['state']}."
            raise SystemExit(f"{message} Look at its log in Airflow; {run.dag} must work before it is measured.")
        if row["state"] != "success" or not (began and ended) or began < asked:
            return None
        return TaskTimes(asked=asked, began=began, ended=ended)

    def task_done(self, run: DagRun, task: str, asked: datetime) -> TaskTimes:
        """Wait until a task that was asked for has ended well."""
        return until(lambda: self.times(run, task, asked), f"task {task} of {run.run}")

    def run_done(self, run: DagRun) -> DagRun:
        """Wait until a run has ended well."""
        ended = until(lambda: found if (found := self.run(run.dag, run.run)).has_ended else None, run.run)
        if ended.state != "success":
            raise SystemExit(f"Run {run.run} of {run.dag} is {ended.state}. Look at its tasks in Airflow.")
        return ended

    def fail(self, run: DagRun) -> None:
        """End a run as a person does who marks it failed."""
        self._call("PATCH", f"/dags/{run.dag}/dagRuns/{quote(run.run, safe='')}", {"state": "failed"})

    def backfill_again(self, dag: str, begin: datetime, end: datetime, max_active_runs: int) -> None:
        """Run all intervals between two moments in one backfill, those that ran before as well."""
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


def until(look: Callable[[], Found | None], what: str, seconds: float = END_SECONDS) -> Found:
    """Look again and again until there is something."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited {seconds:.0f} s in vain for {what}.")
        time.sleep(POLL_SECONDS)
    return found


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
