"""Starts and stops the whole set of services."""

import contextlib
import functools
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from local_platform.console import Console, seconds
from local_platform.errors import PlatformStartError
from local_platform.locations import State
from local_platform.services import credentials, fleet, ports, services
from local_platform.services.fleet import Fleet
from local_platform.services.services import Settings

LOCK_SECONDS = 30.0


class Change(Protocol):
    """Executes one statement on Airflow's database."""

    def __call__(self, statement: str, /, *values: str) -> list[str]:
        """
        Execute it.

        :param values: one for each question mark.
        :return: the first column of the result; empty where there is no database yet.
        """


Start = Callable[[Settings, Fleet, Console], None]
"""Starts the services of one kind of installation, and waits until they are ready."""


def left_running(state: State) -> list[str]:
    """The services that ``make up`` left running; none unless all of them still run."""
    try:
        kept = json.loads(_detached_file(state).read_text())["services"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return list(kept) if set(kept) <= set(fleet.running(state)) else []


def settings_of(state: State) -> Settings | None:
    """The settings of services that ``make up`` left running; None unless all of them still run."""
    return recall(state) if left_running(state) else None


def recall(state: State) -> Settings:
    """The settings of the last start."""
    return Settings(state, ports.Ports(**ports.recall(state.ports)), credentials.provide(state.secrets))


@contextlib.contextmanager
def started(
    state: State, console: Console, start: Start | None = None, port_names: Sequence[str] = ports.NAMES
) -> Iterator[tuple[Settings, Fleet]]:
    """
    Start all services; stop them when the block ends, also by an error, unless the fleet was detached.

    :param start: starts those of another kind of installation than the local one.
    :param port_names: names of the services that need a port.
    :raises PlatformStartError: if one does not become healthy.
    """
    left = fleet.clear(state)
    if left:
        console.say(f"  stopped what an earlier start had left running: {', '.join(left)}")
    chosen = ports.choose(state.ports, os.environ, port_names)
    settings = Settings(state, chosen, credentials.provide(state.secrets))
    own = Fleet(state, console)
    began = time.monotonic()
    try:
        (start or _start)(settings, own, console)
        console.say(f"  all services are ready after {seconds(time.monotonic() - began)}")
        yield settings, own
    finally:
        # A second Ctrl-C must not leave half of them behind; each guard ends its service within a bounded time.
        with _signals_ignored():
            own.stop()


def detach(settings: Settings, own: Fleet) -> None:
    """Leave the services running, and record that this is intended."""
    names = sorted(fleet.running(settings.state))
    _detached_file(settings.state).write_text(json.dumps({"services": names}))
    own.detach()


def require_running(state: State, names: Sequence[str]) -> None:
    """
    Require that services still run.

    :raises PlatformStartError: if one ended by itself; with the end of its log.
    """
    alive = fleet.running(state)
    for name in names:
        if name not in alive:
            log = fleet.log_of(state, name)
            raise PlatformStartError(f"{name} ended by itself. The end of {log}:\n{fleet.tail(log)}")


def down(state: State, console: Console) -> None:
    """Stop whatever runs on this state."""
    with _signals_ignored(), console.live("stopping the services …"):
        ended = fleet.clear(state)
    _detached_file(state).unlink(missing_ok=True)
    console.say(f"ended {', '.join(ended)}" if ended else "nothing was running")


def _start(settings: Settings, own: Fleet, console: Console) -> None:
    state = settings.state
    held = settle(sqlite(state))
    for folder in (state.airflow, state.mlflow, state.data, state.serving):
        folder.mkdir(parents=True, exist_ok=True)
    services.discard_unfinished(state)
    independent = services.independent(settings)
    for service in independent:
        own.start(service)
    # MLflow, the fork server and the model server import while the migration runs.
    migration = services.migration(settings)
    if migration:
        began = time.monotonic()
        own.complete(migration)
        services.record_migration(settings)
        console.say(f"  Airflow's database made in {seconds(time.monotonic() - began)}")
    airflow = services.airflow(settings)
    for service in airflow:
        own.start(service)
    own.wait([*independent, *airflow])
    services.record_mlflow(settings)
    release(sqlite(state), held)


def settle(change: Change) -> list[str]:
    """
    Prepare Airflow's database for the next scheduler, while no process uses it.

    Earlier schedulers are marked as failed, because they have ended: their tasks are adopted at once, not after half a
    minute without a heartbeat. All DAGs are paused until all services are ready: a task that starts before the API
    server listens fails.

    :return: the DAGs to release.
    """
    held = change("SELECT dag_id FROM dag WHERE NOT is_paused")
    change("UPDATE dag SET is_paused = true")
    change("UPDATE job SET state = 'failed' WHERE state = 'running'")
    return held


def release(change: Change, dags: Sequence[str]) -> None:
    """Unpause DAGs that :func:`settle` paused."""
    for dag in dags:
        change("UPDATE dag SET is_paused = false WHERE dag_id = ?", dag)


def sqlite(state: State) -> Change:
    """The local Airflow's database."""
    return functools.partial(_change, state)


def _change(state: State, statement: str, *values: str) -> list[str]:
    database = state.airflow / "airflow.db"
    # A migration that was killed leaves a database without tables.
    if not (state.airflow / "migrated").exists() or not database.exists():
        return []
    try:
        # A connection is a context manager for its transaction, not for itself.
        with contextlib.closing(sqlite3.connect(database, timeout=LOCK_SECONDS)) as connection, connection:
            return [str(row[0]) for row in connection.execute(statement, values)]
    except sqlite3.DatabaseError as error:
        advice = "Move it away to begin with an empty one; tables, objects and models stay as they are."
        raise PlatformStartError(f"Airflow's database {database} cannot be used: {error}. {advice}") from error


def _detached_file(state: State) -> Path:
    return state.root / "up.json"


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
