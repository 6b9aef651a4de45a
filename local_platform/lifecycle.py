"""Bringing the whole set of services up and down."""

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from local_platform import credentials, fleet, ports, services
from local_platform.console import Console, seconds
from local_platform.errors import PlatformStartError
from local_platform.fleet import Fleet
from local_platform.locations import State
from local_platform.services import Settings

LOCK_SECONDS = 30.0


def settings_of(state: State) -> Settings | None:
    """The settings of services that ``make up`` left running; nothing unless all of them still run."""
    try:
        kept = json.loads(_mark(state).read_text())
    except (OSError, ValueError):
        return None
    if not set(kept["services"]) <= set(fleet.running(state)):
        return None
    return Settings(state, ports.Ports(**ports.recall(state.ports)), credentials.provide(state.secrets))


@contextlib.contextmanager
def started(state: State, console: Console) -> Iterator[tuple[Settings, Fleet]]:
    """
    Start all services; end them when the block ends, however it ends, unless the fleet was detached.

    :raises PlatformStartError: if one does not become healthy.
    """
    left = fleet.clear(state)
    if left:
        console.say(f"  ended what an earlier start had left running: {', '.join(left)}")
    held = _settle(state)
    chosen = ports.choose(state.ports, os.environ)
    settings = Settings(state, chosen, credentials.provide(state.secrets))
    own = Fleet(state, console)
    begun = time.monotonic()
    try:
        _start(settings, own, console)
        _release(state, held)
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


def require_running(settings: Settings) -> None:
    """
    Look whether every service still runs.

    :raises PlatformStartError: if one ended by itself; with the end of its log.
    """
    alive = fleet.running(settings.state)
    names = [service.name for service in (*services.independent(settings), *services.airflow(settings))]
    for name in names:
        if name not in alive:
            log = fleet.log_of(settings.state, name)
            raise PlatformStartError(f"{name} ended by itself. The end of {log}:\n{fleet.tail(log)}")


def down(state: State, console: Console) -> None:
    """End whatever runs on this state."""
    with _undisturbed():
        ended = fleet.clear(state)
    _mark(state).unlink(missing_ok=True)
    console.say(f"ended {', '.join(ended)}" if ended else "nothing was running")


def _start(settings: Settings, own: Fleet, console: Console) -> None:
    state = settings.state
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


def _settle(state: State) -> list[str]:
    """
    Prepare what an earlier start left in Airflow's database for the next scheduler, while nothing runs.

    The schedulers of before are gone, which is known here, so their tasks are taken up at once, and not only after half
    a minute without a sign of life. And every DAG is held until all services are ready: a task that starts before the
    API server listens has failed.

    :return: the DAGs to release.
    """
    held = _change(state, "SELECT dag_id FROM dag WHERE NOT is_paused")
    _change(state, "UPDATE dag SET is_paused = 1")
    _change(state, "UPDATE job SET state = 'failed' WHERE state = 'running'")
    return held


def _release(state: State, dags: Sequence[str]) -> None:
    for dag in dags:
        _change(state, "UPDATE dag SET is_paused = 0 WHERE dag_id = ?", dag)


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
