"""Client of Airflow's REST API, as far as the year job needs it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from include.errors import TemporaryError
from include.stores.retry import Backoff, retried
from local_platform import loopback
from local_platform.errors import AirflowApiError

PAGE = 100
"""Rows of one response; Airflow's default upper limit (``api.maximum_page_limit``)."""
UNAUTHORIZED = 401
NOT_FOUND = 404
CONFLICT = 409
SERVER_ERROR = 500
ATTEMPTS = 7
BACKOFF = Backoff(first_seconds=0.25, longest_seconds=8.0)
"""With seven attempts, some 16 s of pauses: longer than a backfill or a migration holds SQLite's lock."""
ENDED = frozenset({"success", "failed"})


@dataclass(frozen=True, kw_only=True)
class DagRun:
    """One run of a DAG."""

    dag: str
    run: str
    state: str
    logical_date: datetime | None
    conf: Mapping[str, Any]

    @property
    def has_ended(self) -> bool:
        """Whether it succeeded or failed."""
        return self.state in ENDED


@dataclass(frozen=True, kw_only=True)
class TaskInstance:
    """One task of one run, or one of its mapped copies."""

    dag: str
    run: str
    task: str
    map_index: int
    label: str
    """Name of a mapped copy, its index if it has none; empty for other tasks."""
    state: str
    """Airflow's state; ``none`` before the task is scheduled."""
    try_number: int
    seconds: float | None
    started_at: datetime | None


class AirflowApi:
    """Requests as one user; signs in at the first one, and again after the token expired."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._client = loopback.client(url)
        self._login = {"username": user, "password": password}
        self._token = ""

    def has_dag(self, dag: str) -> bool:
        """Whether Airflow has parsed this DAG."""
        try:
            self._call("GET", f"/dags/{dag}")
        except AirflowApiError as error:
            if error.status == NOT_FOUND:
                return False
            raise
        return True

    def import_errors(self) -> list[str]:
        """Import errors of DAG files: path and last line of the traceback."""
        errors = self._call("GET", "/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def pause(self, dag: str) -> None:
        """Pause a DAG: no task of it starts; tasks that run go on."""
        self._call("PATCH", f"/dags/{dag}", {"is_paused": True})

    def unpause(self, dag: str) -> None:
        """Unpause a DAG."""
        self._call("PATCH", f"/dags/{dag}", {"is_paused": False})

    def runs(self, dag: str, **filters: str) -> list[DagRun]:
        """Runs of one DAG; filters are those of Airflow's API."""
        path = f"/dags/{dag}/dagRuns"
        return [_dag_run(row) for row in self._pages(path, "dag_runs", {"order_by": "run_after", **filters})]

    def run(self, dag: str, run: str) -> DagRun:
        """One run as it is now."""
        return _dag_run(self._call("GET", f"/dags/{dag}/dagRuns/{quote(run, safe='')}"))

    def trigger(self, dag: str, run: str, conf: Mapping[str, object]) -> DagRun:
        """Start a run without a data interval."""
        # Airflow 3.3 refuses a body without logical_date; null means that there is no interval.
        body = {"logical_date": None, "dag_run_id": run, "conf": dict(conf)}
        return _dag_run(self._call("POST", f"/dags/{dag}/dagRuns", body))

    def clear(self, run: DagRun) -> None:
        """Run all tasks of a finished run again."""
        body = {"dry_run": False, "only_failed": False, "run_on_latest_version": True}
        self._call("POST", f"/dags/{run.dag}/dagRuns/{quote(run.run, safe='')}/clear", body)

    def tasks(self, dag: str, runs: Sequence[str]) -> list[TaskInstance]:
        """
        All task instances of some runs of one DAG.

        One request for each run: Airflow's endpoint for a list of runs writes a row into its database at each call.
        """
        tasks: list[TaskInstance] = []
        for run in runs:
            path = f"/dags/{dag}/dagRuns/{quote(run, safe='')}/taskInstances"
            tasks.extend(_task_instance(row) for row in self._pages(path, "task_instances", {}))
        return tasks

    def backfill(self, dag: str, from_date: datetime, to_date: datetime, max_active_runs: int) -> None:
        """
        Run every interval between two moments that has no run yet. Call it while the DAG is paused.

        While another process holds SQLite's lock, Airflow deletes what it can of the runs that it had made so far and
        responds 503; a scheduler that had started one of them crashes. Runs that exist are not part of the backfill but
        cleared one by one: Airflow's option to run them again (``reprocess_behavior``) leaves a cursor open when it
        fails, and all later attempts fail with it.

        :raises AirflowApiError: with status 409 if another backfill of the DAG is not complete.
        """
        body = {
            "dag_id": dag,
            "from_date": from_date.isoformat(),
            "to_date": to_date.isoformat(),
            "run_backwards": False,
            "dag_run_conf": {},
            "max_active_runs": max_active_runs,
            "reprocess_behavior": "none",
        }
        self._call("POST", "/backfills", body)

    def has_active_backfill(self, dag: str) -> bool:
        """Whether a backfill still keeps others of the same DAG from starting."""
        return any(row["completed_at"] is None for row in self._pages("/backfills", "backfills", {"dag_id": dag}))

    def _pages(self, path: str, key: str, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while True:
            query = urlencode({**filters, "limit": PAGE, "offset": len(rows)})
            page = self._call("GET", f"{path}?{query}")
            rows.extend(page[key])
            # total_entries may shrink while pages are read: an empty page ends the loop as well.
            if not page[key] or len(rows) >= page["total_entries"]:
                return rows

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """
        Send a request; retry it without a response, after a 5xx (SQLite is locked at times), and with a new session.

        :raises AirflowApiError: with the status of the last attempt.
        """
        statuses: list[int] = []

        def attempt() -> Any:
            try:
                return self._request(method, path, body)
            except AirflowApiError as error:
                if 0 < error.status < SERVER_ERROR and error.status != UNAUTHORIZED:
                    raise
                statuses.append(error.status)
                raise TemporaryError(str(error)) from error

        try:
            return retried(attempt, seconds=None, attempts=ATTEMPTS, backoff=BACKOFF)
        except TemporaryError as error:
            raise AirflowApiError(str(error), status=statuses[-1]) from error

    def _request(self, method: str, path: str, body: Mapping[str, object] | None) -> Any:
        if not self._token:
            self._token = self._send("POST", "/auth/token", self._login)["access_token"]
        try:
            return self._send(method, f"/api/v2{path}", body)
        except AirflowApiError as error:
            # Tokens expire after a day, and a restarted installation may have another key.
            if error.status == UNAUTHORIZED:
                self._token = ""
            raise

    def _send(self, method: str, path: str, body: Mapping[str, object] | None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            response = self._client.request(method, path, json=body, headers=headers)
        except httpx.HTTPError as error:
            what = f"Airflow at {self._url} did not respond to {method} {path}: {error}."
            raise AirflowApiError(f"{what} See airflow-api-server.log among the logs.") from error
        if response.is_error:
            message = f"Airflow responded {response.status_code} to {method} {path}: {loopback.excerpt(response)}"
            raise AirflowApiError(message, status=response.status_code)
        return response.json() if response.content else None


def _dag_run(row: dict[str, Any]) -> DagRun:
    return DagRun(
        dag=row["dag_id"],
        run=row["dag_run_id"],
        state=row["state"],
        logical_date=_moment(row["logical_date"]),
        conf=row.get("conf") or {},
    )


def _task_instance(row: dict[str, Any]) -> TaskInstance:
    return TaskInstance(
        dag=row["dag_id"],
        run=row["dag_run_id"],
        task=row["task_id"],
        map_index=row["map_index"],
        label=row.get("rendered_map_index") or (str(row["map_index"]) if row["map_index"] >= 0 else ""),
        state=row["state"] or "none",
        try_number=row["try_number"],
        seconds=row["duration"],
        started_at=_moment(row["start_date"]),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
