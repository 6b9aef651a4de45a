"""Whether services are ready: what they answer, where they listen, when they last gave a sign of life."""

import functools
import socket
from datetime import UTC, datetime
from pathlib import Path

import httpx

from local_platform import loopback

SOCKET_SECONDS = 30.0


def answers(url: str) -> bool:
    """Whether a service answers a request, and well."""
    return _get(url) is not None


def listens(path: Path) -> bool:
    """Whether a service takes connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(SOCKET_SECONDS)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def beats(url: str, component: str, since: float) -> bool:
    """
    Whether a component of Airflow sent a sign of life since a moment: an older one is its predecessor's.

    :param url: of Airflow's API server.
    :param since: seconds since 1970.
    """
    response = _get(f"{url}/api/v2/monitor/health")
    health = response.json().get(component, {}) if response else {}
    beat = health.get(f"latest_{component}_heartbeat")
    if not beat:
        return False
    moment = datetime.fromisoformat(beat)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() >= since


def _get(url: str) -> httpx.Response | None:
    try:
        response = _client().get(url)
    except httpx.HTTPError:
        return None
    return response if response.is_success else None


@functools.cache
def _client() -> httpx.Client:
    return loopback.client()
