"""The ports of the services: chosen once, remembered, all on loopback."""

import json
import random
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from local_platform.errors import PlatformStartError

LOOPBACK = "127.0.0.1"
NAMES = ("airflow", "mlflow", "serving")
CHOICE = range(20_000, 32_000)
"""Below the ephemeral ports (from 32768 on Linux), so that no outgoing connection occupies a remembered port."""
ATTEMPTS = 200


@dataclass(frozen=True)
class Ports:
    """One port for each service that listens."""

    airflow: int
    mlflow: int
    serving: int
    postgres: int = 0
    """Where the installation has a PostgreSQL of its own."""

    @property
    def airflow_url(self) -> str:
        """Airflow's web UI and REST API."""
        return f"http://{LOOPBACK}:{self.airflow}"

    @property
    def mlflow_url(self) -> str:
        """MLflow's web UI and tracking API."""
        return f"http://{LOOPBACK}:{self.mlflow}"

    @property
    def serving_url(self) -> str:
        """The served model."""
        return f"http://{LOOPBACK}:{self.serving}"


def choose(remembered: Path, environment: Mapping[str, str], names: Sequence[str] = NAMES) -> Ports:
    """
    Take the ports that the environment names, else those of the last start where they are free, else other free ones.

    :param remembered: file that keeps the choice.
    :param environment: may name ``AIRFLOW_PORT``, ``MLFLOW_PORT``, ``SERVING_PORT`` and ``POSTGRES_PORT``.
    :param names: names of the services that need a port.
    :raises PlatformStartError: if a named port is not a number from 1 to 65535 or is in use, or if no port is free.
    """
    known = recall(remembered)
    taken: set[int] = set()
    for name in names:
        variable = f"{name.upper()}_PORT"
        port = _named(variable, environment[variable]) if environment.get(variable) else _free(known.get(name), taken)
        known[name] = port
        taken.add(port)
    remembered.parent.mkdir(parents=True, exist_ok=True)
    remembered.write_text(json.dumps(known))
    return Ports(**known)


def recall(remembered: Path) -> dict[str, int]:
    """The ports of the last start; empty before the first."""
    try:
        known = json.loads(remembered.read_text())
    except (OSError, ValueError):
        return {}
    names = [one.name for one in fields(Ports)]
    return {name: known[name] for name in names if isinstance(known, dict) and isinstance(known.get(name), int)}


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: with it a connection in TIME_WAIT does not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _named(variable: str, text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < port < 2**16:
        raise PlatformStartError(f"{variable} is '{text}', which is no port: give a number from 1 to 65535.")
    if not is_free(port):
        advice = f"Stop what listens there, name another, or leave {variable} out to get a free one."
        raise PlatformStartError(f"{variable} is {port}, and that port is already taken on {LOOPBACK}. {advice}")
    return port


def _free(preferred: int | None, taken: set[int]) -> int:
    candidates = [preferred] if preferred else []
    candidates += random.SystemRandom().sample(CHOICE, ATTEMPTS)
    for port in candidates:
        if port not in taken and is_free(port):
            return port
    advice = "Name ports in AIRFLOW_PORT, MLFLOW_PORT and SERVING_PORT."
    raise PlatformStartError(f"None of {ATTEMPTS} ports tried on {LOOPBACK} is free. {advice}")
