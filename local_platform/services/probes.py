"""Readiness of services: by HTTP response, by listening socket, by heartbeat."""

import functools
import socket
from datetime import UTC, datetime
from pathlib import Path

import httpx

from local_platform import loopback

SOCKET_SECONDS = 30.0


def responds(url: str) -> bool:
    """Whether a GET request gets a response of success."""
    return _get(url) is not None


def listens(path: Path) -> bool:
    """Whether a service accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(SOCKET_SECONDS)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def has_heartbeat(url: str, component: str, since: float) -> bool:
    """
    Whether a component of Airflow sent a heartbeat since a moment: an older one is its predecessor's.

    :param url: of Airflow's API server.
    :param component: ``scheduler``, ``dag_processor`` or ``triggerer``.
    :param since: seconds since 1970.
    """
    response = _get(f"{url}/api/v2/monitor/health")
    health = response.json().get(component, {}) if response else {}
    heartbeat = health.get(f"latest_{component}_heartbeat")
    if not heartbeat:
        return False
    moment = datetime.fromisoformat(heartbeat)
    # Without a zone where the database keeps none (SQLite); Airflow writes UTC.
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
