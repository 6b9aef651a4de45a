import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_platform.errors import PlatformStartError
from local_platform.services import ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((ports.LOOPBACK, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_ports_of_the_first_start_are_kept(tmp_path: Path) -> None:
    first = ports.choose(tmp_path / "ports.json", {})
    assert len({first.airflow, first.mlflow, first.serving}) == 3
    assert ports.choose(tmp_path / "ports.json", {}) == first
    assert first.airflow_url == f"http://127.0.0.1:{first.airflow}"


def test_only_what_needs_a_port_gets_one(tmp_path: Path) -> None:
    assert ports.choose(tmp_path / "local.json", {}).postgres == 0
    chosen = ports.choose(tmp_path / "cluster.json", {}, (*ports.NAMES, "postgres"))
    assert chosen.postgres in ports.CHOICE
    assert ports.Ports(**ports.recall(tmp_path / "cluster.json")) == chosen


def test_a_remembered_port_that_is_taken_is_replaced(tmp_path: Path, taken: int) -> None:
    (tmp_path / "ports.json").write_text(f'{{"airflow": {taken}, "mlflow": 1}}')
    assert ports.choose(tmp_path / "ports.json", {}).airflow != taken


def test_a_damaged_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("{")
    assert ports.choose(tmp_path / "ports.json", {}).serving in ports.CHOICE


def test_a_named_port_is_taken_as_it_is(tmp_path: Path) -> None:
    free = ports.choose(tmp_path / "other.json", {}).airflow
    assert ports.choose(tmp_path / "ports.json", {"AIRFLOW_PORT": str(free)}).airflow == free


def test_a_named_port_that_is_taken_is_refused(tmp_path: Path, taken: int) -> None:
    with pytest.raises(PlatformStartError, match=f"MLFLOW_PORT is {taken}, and that port is already taken"):
        ports.choose(tmp_path / "ports.json", {"MLFLOW_PORT": str(taken)})


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "\uff18\uff10"])
def test_what_is_no_port_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(PlatformStartError, match=f"SERVING_PORT is '{text}', which is no port"):
        ports.choose(tmp_path / "ports.json", {"SERVING_PORT": text})
