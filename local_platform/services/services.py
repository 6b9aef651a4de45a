"""The services: the command of each, its environment, and its readiness probe."""

import importlib.metadata
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_platform.locations import State
from local_platform.services import environment
from local_platform.services.credentials import Credentials
from local_platform.services.ports import LOOPBACK, Ports
from local_platform.services.probes import has_heartbeat, listens, responds

BIN = Path(sys.executable).parent


def _always() -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process to guard."""

    name: str
    words: tuple[str, ...]
    variables: Mapping[str, str] = field(repr=False)
    """Its whole environment."""
    is_ready: Callable[[], bool] = _always
    grace_seconds: float = 10.0
    """How long it may take to end after its stop signal."""
    stop_signal: signal.Signals = signal.SIGTERM
    """The signal that stops it."""


@dataclass(frozen=True)
class Settings:
    """What the services of one installation share."""

    state: State
    ports: Ports
    credentials: Credentials


def migration(settings: Settings) -> Service | None:
    """The service that migrates Airflow's database to the installed version; None if that was done."""
    version = importlib.metadata.version("apache-airflow")
    stamp = settings.state.airflow / "migrated"
    database = settings.state.airflow / "airflow.db"
    if database.exists() and stamp.exists() and stamp.read_text() == version:
        return None
    return migrate(_airflow(settings))


def migrate(variables: Mapping[str, str]) -> Service:
    """The service that makes or migrates Airflow's database."""
    return Service(name="airflow-migrate", words=(_tool("airflow"), "db", "migrate"), variables=variables)


def record_migration(settings: Settings) -> None:
    """Record that Airflow's database is at the installed version."""
    (settings.state.airflow / "migrated").write_text(importlib.metadata.version("apache-airflow"))


def record_mlflow(settings: Settings) -> None:
    """Record that MLflow's database is complete: its server has responded."""
    (settings.state.mlflow / "made").touch()


def discard_unfinished(state: State) -> None:
    """
    Remove databases whose creation was interrupted.

    Neither Airflow nor MLflow can use one, and one that was never ready holds no data.
    """
    for database, mark in ((state.airflow / "airflow.db", "migrated"), (state.mlflow / "mlflow.db", "made")):
        if not (database.parent / mark).exists():
            # With SQLite's -wal and -shm files.
            for path in database.parent.glob(f"{database.name}*"):
                path.unlink()


def independent(settings: Settings) -> list[Service]:
    """The services that do not use Airflow's database."""
    state, ports = settings.state, settings.ports
    base = environment.platform_environment(state)
    steps = base | environment.step_environment(state, ports)
    control, forks = state.socket("serving"), state.socket("fork_server")
    supervisor = ("--state", str(state.serving), "--control", str(control), "--host", LOOPBACK)
    return [
        Service(
            name="mlflow",
            words=(
                _tool("mlflow"), "server", "--host", LOOPBACK, "--port", str(ports.mlflow), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{state.mlflow / 'mlflow.db'}",
                "--artifacts-destination", f"file://{state.mlflow / 'artifacts'}",
            ),
            variables=base | environment.mlflow_environment(),
            is_ready=lambda: responds(f"{ports.mlflow_url}/health"),
        ),
        Service(
            name="fork-server",
            words=(sys.executable, "-m", "include.runtime.forking.server", "--socket", str(forks)),
            variables=steps,
            is_ready=lambda: listens(forks),
        ),
        Service(
            name="model-server",
            words=(
                sys.executable, "-m", "include.serving.processes.supervisor", *supervisor, "--port", str(ports.serving),
            ),
            variables=steps,
            is_ready=lambda: listens(control),
        ),
    ]  # fmt: skip


def airflow(settings: Settings) -> list[Service]:
    """Airflow's processes; they need its database."""
    return airflow_processes(settings.ports.airflow_url, _airflow(settings))


def airflow_processes(url: str, variables: Mapping[str, str]) -> list[Service]:
    """Airflow's processes in one environment, without the triggerer."""
    started = time.time()
    return [
        Service(
            name="airflow-api-server",
            words=(_tool("airflow"), "api-server"),
            variables=variables,
            # The API server builds the app for workers at its first request, which takes seconds: not in a task's time.
            is_ready=lambda: all(responds(f"{url}{path}") for path in ("/api/v2/version", "/execution/health")),
        ),
        Service(
            name="airflow-scheduler",
            # The log server listens on all interfaces; it is not needed where all logs are on one disk.
            words=(_tool("airflow"), "scheduler", "--skip-serve-logs"),
            variables=variables,
            is_ready=lambda: has_heartbeat(url, "scheduler", started),
        ),
        Service(
            name="airflow-dag-processor",
            words=(_tool("airflow"), "dag-processor"),
            variables=variables,
            is_ready=lambda: has_heartbeat(url, "dag_processor", started),
        ),
    ]


def triggerer(url: str, variables: Mapping[str, str]) -> Service:
    """Airflow's process in which deferred tasks wait."""
    started = time.time()
    return Service(
        name="airflow-triggerer",
        words=(_tool("airflow"), "triggerer", "--skip-serve-logs"),
        variables=variables,
        is_ready=lambda: has_heartbeat(url, "triggerer", started),
    )


def _airflow(settings: Settings) -> dict[str, str]:
    base = environment.platform_environment(settings.state)
    steps = environment.step_environment(settings.state, settings.ports)
    return base | steps | environment.airflow_environment(settings.state, settings.ports, settings.credentials)


def _tool(name: str) -> str:
    return str(BIN / name)
