"""A PostgreSQL of its own for tests, in a folder that its user gets at."""

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local_platform.cluster.backing_services.postgres import OwnPostgres
from local_platform.console import Console
from local_platform.locations import State
from local_platform.services import ports
from local_platform.services.fleet import Fleet

PASSWORD = "canary-of-the-administrator"


@contextmanager
def open_folder() -> Iterator[Path]:
    """Pytest's own folders are closed to everybody else."""
    with tempfile.TemporaryDirectory(prefix="postgres-of-tests-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@contextmanager
def running(state: State, port: int = 0) -> Iterator[OwnPostgres]:
    server = OwnPostgres(
        state, "127.0.0.2", port or ports.choose(state.ports, {}, ["airflow", "mlflow", "serving", "postgres"]).postgres
    )
    server.make(PASSWORD)
    own = Fleet(state, Console(io.StringIO()))
    service = server.service(PASSWORD)
    own.start(service)
    try:
        own.wait([service])
        yield server
    finally:
        own.stop()
