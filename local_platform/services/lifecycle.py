"""Bringing the whole set of services up and down."""

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
        :return: the first column of what it found; empty where there is no database yet.
        """


Start = Callable[[Settings, Fleet, Console], None]
"""Starts the services of one kind of installation, and waits until they are ready."""


def left_running(state: State) -> list[str]:
    """The services that ``make up`` left running; none unless all of them still run."""
    try:
        kept = json.loads(_mark(state).read_text())["services"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return list(kept) if set(kept) <= set(fleet.running(state)) else []


def settings_of(state: State) -> Settings | None:
    """The settings of services that ``make up`` left running; nothing unless all of them still run."""
    return recall(state) if left_running(state) else None


def recall(state: State) -> Settings:
    """The settings of the last start."""
    return Settings(state, ports.Ports(**ports.recall(state.ports)), credentials.provide(state.secrets))


@contextlib.contextmanager
def started(
    state: State, console: Console, start: Start | None = None, port_names: Sequence[str] = ports.NAMES
) -> Iterator[tuple[Settings, Fleet]]:
    """
    Start all services; end them when the block ends, however it ends, unless the fleet was detached.

    :param start: starts those of another kind of installation than the local one.
    :param port_names: what needs a port there.
    :raises PlatformStartError: if one does not become healthy.
    """
    left = fleet.clear(state)
    if left:
        console.say(f"  ended what an earlier start had left running: {', '.join(left)}")
    chosen = ports.choose(state.ports, os.environ, port_names)
    settings = Settings(state, chosen, credentials.provide(state.secrets))
    own = Fleet(state, console)
    begun = time.monotonic()
    try:
        (start or _start)(settings, own, console)
        console.say(f"  all services are ready after {seconds(time.monotonic() - begun)}")
        yield settings, own
    finally:
        # A second Ctrl-C must not leave half of them behind; each guard ends its service within a bounded time.
        with _undisturbed():
            own.stop()


def detach(settings: Settings, own: Fleet) -> None:
    """Leave the services running, and remember that this is meant."""
    names = sorted(fleet.running(settings.state))
    _mark(settings.state).write_text(json.dumps({"services": names}))
    own.detach()


def require_running(state: State, names: Sequence[str]) -> None:
    """
    Look whether services still run.

    :raises PlatformStartError: if one ended by itself; with the end of its log.
    """
    alive = fleet.running(state)
    for name in names:
        if name not in alive:
            log = fleet.log_of(state, name)
            raise PlatformStartError(f"{name} ended by itself. The end of {log}:\n{fleet.tail(log)}")


def down(state: State, console: Console) -> None:
    """End whatever runs on this state."""
    with _undisturbed(), console.live("ending the services …"):
        ended = fleet.clear(state)
    _mark(state).unlink(missing_ok=True)
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
    migration = services.migration(settings)
    if migration:
        begun = time.monotonic()
        own.complete(migration)
        services.migrated(settings)
        console.say(f"  Airflow's database made in {seconds(time.monotonic() - begun)}")
    airflow = services.airflow(settings)
    for service in airflow:
        own.start(service)
    own.wait([*independent, *airflow])
    services.answered(settings)
    release(sqlite(state), held)


def settle(change: Change) -> list[str]:
    """
    Prepare what an earlier start left in Airflow's database for the next scheduler, while nothing runs.

    The schedulers of before are gone, which is known here, so their tasks are taken up at once, and not only after half
    a minute without a sign of life. And every DAG is held until all services are ready: a task that starts before the
    API server listens has failed.

    :return: the DAGs to release.
    """
    held = change("SELECT dag_id FROM dag WHERE NOT is_paused")
    change("UPDATE dag SET is_paused = true")
    change("UPDATE job SET state = 'failed' WHERE state = 'running'")
    return held


def release(change: Change, dags: Sequence[str]) -> None:
    """Let DAGs go on that were held."""
    for dag in dags:
        change("UPDATE dag SET is_paused = false WHERE dag_id = ?", dag)


def sqlite(state: State) -> Change:
    """The local Airflow's database."""
    return functools.partial(_change, state)


def _change(state: State, statement: str, *values: str) -> list[str]:
    database = state.airflow / "airflow.db"
    if not (state.airflow / "migrated").exists() or not database.exists():
        return []
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=LOCK_SECONDS)) as connection, connection:
            return [str(row[0]) for row in connection.execute(statement, values)]
    except sqlite3.DatabaseError as error:
        advice = "Move it away to begin with an empty one; tables, objects and models stay as they are."
        raise PlatformStartError(f"Airflow's database {database} cannot be used: {error}. {advice}") from error


def _mark(state: State) -> Path:
    return state.root / "up.json"


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
