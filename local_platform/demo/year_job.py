"""The work of ``make run``, through Airflow's REST API alone: from the files to the served model."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.contract.partition import Grain, Partition
from include.spec.load import load_project
from local_platform.console import Console, seconds
from local_platform.demo.airflow_api import AirflowApi, DagRun
from local_platform.demo.watch import Watch, Watched
from local_platform.errors import AirflowApiError, JobFailedError

if TYPE_CHECKING:
    from include.spec.project import ProjectSpec

PROJECT = "flights"
FIRST, LAST, SCORED = "2013-01", "2013-09", "2013-10"
DAG_SECONDS = 180.0
POLL_SECONDS = 0.5
RUNS_AT_ONCE = 3
BACKFILL_ATTEMPTS = 3
COMPLETION_SECONDS = 90.0
CONFLICT = 409


@dataclass
class Done:
    """What was done, for the summary."""

    stages: dict[str, float] = field(default_factory=dict)
    """Seconds by name of the stage."""
    runs: dict[str, list[DagRun]] = field(default_factory=dict)
    """Runs by DAG, oldest interval first."""


class YearJob:
    """One pass through the job; the steps themselves skip work that is already done."""

    def __init__(self, api: AirflowApi, console: Console, require_services: Callable[[], None]) -> None:
        self._api = api
        self._console = console
        self._require_services = require_services
        self._spec: ProjectSpec = load_project(PROJECT)
        self._dags = (f"{PROJECT}_data", f"{PROJECT}_training", f"{PROJECT}_scoring")
        self.done = Done()

    def do(self) -> Done:
        """
        Collect nine months, train on them, collect one more, score it.

        :raises JobFailedError: if a run failed; with the task, its error and its log.
        """
        data, training, scoring = self._dags
        with self._stage("Airflow reads the DAGs"):
            self._read_dags()
        with self._stage(f"{data} {FIRST} to {LAST}"):
            self._intervals(data, FIRST, LAST)
        with self._stage(training):
            self._trigger_once(training, LAST, self._training_conf())
        with self._stage(f"{data} {SCORED}"):
            self._intervals(data, SCORED, SCORED)
        with self._stage(f"{scoring} {SCORED}"):
            self._trigger_once(scoring, SCORED, {"partition": SCORED})
        return self.done

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        self._console.say(f"{name}:", style="bold")
        began = time.monotonic()
        yield
        self.done.stages[name] = time.monotonic() - began
        self._console.say(f"  done in {seconds(self.done.stages[name])}")

    def _read_dags(self) -> None:
        deadline = time.monotonic() + DAG_SECONDS
        waiting = list(self._dags)
        while waiting:
            self._require_services()
            waiting = [dag for dag in waiting if not self._api.has_dag(dag)]
            errors = self._api.import_errors() if waiting else []
            if errors:
                raise JobFailedError(
                    "Airflow cannot read a DAG file:\n" + "\n".join(f"    {error}" for error in errors)
                )
            if waiting and time.monotonic() > deadline:
                message = f"Airflow shows no DAG {', '.join(waiting)} after {seconds(DAG_SECONDS)}."
                raise JobFailedError(f"{message} See airflow-dag-processor.log among the logs.")
            time.sleep(POLL_SECONDS if waiting else 0)
        for dag in self._dags:
            self._api.unpause(dag)

    def _intervals(self, dag: str, first: str, last: str) -> None:
        """Run a DAG for every partition from first to last: clear the runs that exist, backfill the others."""
        self._let_earlier_runs_end(dag)
        begin, end = self._start_of(first), self._start_of(last)
        count = len(self._partitions(first, last))
        known = self._runs_between(dag, begin, end)
        if len(known) < count:
            self._backfill(dag, begin, end)
        with self._paused():
            for run in known:
                self._api.clear(run)
        runs = self._runs_between(dag, begin, end)
        if len(runs) != count:
            raise JobFailedError(f"Airflow made {len(runs)} runs of {dag} for {count} intervals, {first} to {last}.")
        self._finish(Watched(dag, {run.run: self._label(run) for run in runs}, _between(begin, end)))

    def _backfill(self, dag: str, begin: datetime, end: datetime) -> None:
        for _ in range(BACKFILL_ATTEMPTS):
            self._let_earlier_backfill_complete(dag)
            try:
                with self._paused():
                    self._api.backfill(dag, begin, end, RUNS_AT_ONCE)
            except AirflowApiError as error:
                if error.status != CONFLICT:
                    raise
                # Airflow does not undo all of a request that it refuses: wait for the runs it made, then make the rest.
                self._let_earlier_runs_end(dag)
            else:
                return

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """
        Pause all DAGs for a moment.

        While a run is under way the scheduler writes into the database several times a second, and SQLite then refuses
        longer transactions of the API server.
        """
        for dag in self._dags:
            self._api.pause(dag)
        try:
            yield
        finally:
            for dag in self._dags:
                self._api.unpause(dag)

    def _let_earlier_runs_end(self, dag: str) -> None:
        """Wait for runs that an interrupted start left unfinished."""
        waiting = {run.run: self._label(run) for run in self._api.runs(dag) if not run.has_ended}
        if waiting:
            self._console.say(f"  an earlier start left {len(waiting)} runs unfinished; they go on")
            Watch(self._api, self._console, self._require_services).wait(Watched(dag, waiting))

    def _let_earlier_backfill_complete(self, dag: str) -> None:
        """
        Wait for the last backfill of a DAG: Airflow allows one at a time, and checks every half minute for completion.

        Cancelling it would be quicker, but its runs could then never run again.
        """
        deadline = time.monotonic() + COMPLETION_SECONDS
        with self._console.live("waiting for Airflow to complete the last backfill …"):
            while self._api.has_active_backfill(dag) and time.monotonic() < deadline:
                self._require_services()
                time.sleep(POLL_SECONDS)

    def _trigger_once(self, dag: str, label: str, conf: Mapping[str, object]) -> None:
        """Trigger a DAG once, without a data interval, or wait for an unfinished run with the same parameters."""
        for run in self._api.runs(dag):
            if not run.has_ended and _matches(run.conf, conf):
                self._console.say("  an earlier start left this run unfinished; it goes on")
                # Each interrupted start used up one of its retries, so a failure here may have no other cause.
                (ended,) = Watch(self._api, self._console, self._require_services).wait(_single(run, label))
                if ended.state == "success":
                    self.done.runs[dag] = [ended]
                    return
        name = f"make_run__{label}__{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
        self._finish(_single(self._api.trigger(dag, name, conf), label))

    def _training_conf(self) -> dict[str, object]:
        partitions = self._partitions(FIRST, LAST)
        return {"as_of": partitions[-1].as_of.isoformat(), "window": len(partitions), "promote": "yes"}

    def _partitions(self, first: str, last: str) -> list[Partition]:
        begin, end = (Partition.parse(text, self._grain) for text in (first, last))
        return next(window for count in range(1, 1000) if (window := end.window(count))[0] == begin)

    def _finish(self, watched: Watched) -> None:
        runs = Watch(self._api, self._console, self._require_services).wait(watched)
        runs = sorted(runs, key=lambda run: watched.labels[run.run])
        self.done.runs.setdefault(watched.dag, []).extend(runs)
        failed = [run for run in runs if run.state != "success"]
        if failed:
            raise RunsFailedError(failed, len(runs))

    def _runs_between(self, dag: str, begin: datetime, end: datetime) -> list[DagRun]:
        return self._api.runs(dag, **_between(begin, end))

    def _label(self, run: DagRun) -> str:
        """The partition of a run; the run id of a run without a data interval."""
        if run.logical_date is None:
            return run.run
        local = run.logical_date.astimezone(self._start_of(FIRST).tzinfo)
        return str(Partition(local.date(), self._grain))

    def _start_of(self, partition: str) -> datetime:
        return Partition.parse(partition, self._grain).bounds(self._spec.timezone)[0]

    @property
    def _grain(self) -> Grain:
        return self._spec.grain


class RunsFailedError(JobFailedError):
    """Runs of a DAG failed."""

    def __init__(self, failed: list[DagRun], total: int) -> None:
        super().__init__(f"{len(failed)} of {total} runs of {failed[0].dag} failed.")
        self.failed = failed


def _single(run: DagRun, label: str) -> Watched:
    return Watched(run.dag, {run.run: label}, {"run_id_pattern": run.run})


def _between(begin: datetime, end: datetime) -> dict[str, str]:
    return {"logical_date_gte": begin.isoformat(), "logical_date_lte": end.isoformat()}


def _matches(conf: Mapping[str, Any], wanted: Mapping[str, object]) -> bool:
    return all(conf.get(name) == value for name, value in wanted.items())
