"""Processes by id, and addresses that are listened on, for tests."""

from collections.abc import Iterable

import psutil


def is_running(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def all_gone(pids: Iterable[int]) -> bool:
    """Whether none of the processes runs any more."""
    return not any(is_running(pid) for pid in pids)


def children_of(pid: int) -> list[int]:
    """Numbers of a process's own children, zombies included."""
    return [child.pid for child in psutil.Process(pid).children()]


def listening(port: int) -> set[str]:
    """Addresses, ``127.0.0.1:8080``, on which anything listens at a TCP port."""
    connections = psutil.net_connections("tcp")
    return {
        f"{one.laddr.ip}:{port}" for one in connections if one.status == psutil.CONN_LISTEN and one.laddr.port == port
    }
