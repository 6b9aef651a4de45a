import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from local_platform.cluster.backing_services import databases, postgres
from local_platform.cluster.backing_services.postgres import OwnPostgres, programs
from local_platform.cluster.errors import ClusterError
from local_platform.locations import State
from local_platform.services import fleet
from tests.support.processes import listening
from tests.support.servers.own_postgres import PASSWORD, open_folder, running

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with open_folder() as folder, running(State(folder)) as started:
        databases.provide(started.url(PASSWORD), {"airflow": "a", "mlflow": "m"})
        yield started


@pytest.mark.needs("postgresql")
class TestServer:
    def test_it_listens_on_loopback_and_on_the_address_of_the_pods(self, server: OwnPostgres) -> None:
        assert databases.is_ready(server.url(PASSWORD))
        assert not databases.is_ready(server.url("another"))
        addresses = {f"{address}:{server.port}" for address in ("127.0.0.1", "127.0.0.2")}
        assert listening(server.port) == addresses

    def test_nobody_gets_in_without_a_password(self, server: OwnPostgres) -> None:
        for address in ("127.0.0.1", "127.0.0.2"):
            with pytest.raises(psycopg2.OperationalError, match="password"):
                psycopg2.connect(f"postgresql://airflow@{address}:{server.port}/airflow")

    def test_each_user_gets_to_the_database_of_its_name_alone(self, server: OwnPostgres) -> None:
        at = f"127.0.0.2:{server.port}"
        psycopg2.connect(f"postgresql://airflow:a@{at}/airflow").close()
        for url in (f"airflow:a@{at}/mlflow", f"airflow:a@{at}/postgres"):
            with pytest.raises(psycopg2.OperationalError, match=r"no pg_hba\.conf entry"):
                psycopg2.connect(f"postgresql://{url}")

    def test_its_administrator_comes_from_this_machine_alone(self, server: OwnPostgres) -> None:
        assert first_word(server.port, "postgres", source="127.0.0.1") == "R"
        assert first_word(server.port, "postgres", source="127.0.0.3") == "E"
        assert first_word(server.port, "airflow", source="127.0.0.3") == "R"

    def test_no_password_is_in_its_command(self, server: OwnPostgres) -> None:
        assert PASSWORD not in " ".join(server.service(PASSWORD).words)
        assert PASSWORD not in repr(server.service(PASSWORD).variables)


@pytest.mark.needs("postgresql")
def test_a_server_that_is_stopped_ends_at_once_in_spite_of_its_clients() -> None:
    with open_folder() as folder:
        state = State(folder)
        with running(state) as server:
            client = psycopg2.connect(f"{server.url(PASSWORD)}/postgres")
            began = time.monotonic()
        assert time.monotonic() - began < 8
        client.close()
        assert fleet.clear(state) == []
        log = fleet.log_of(state, "postgres").read_text()
        assert "received fast shutdown request" in log
        assert "database system is shut down" in log


@pytest.mark.needs("postgresql")
def test_data_outlives_the_server() -> None:
    with open_folder() as folder:
        state = State(folder)
        for time_of_start in (1, 2):
            with running(state) as server, psycopg2.connect(f"{server.url(PASSWORD)}/postgres") as client:
                with client.cursor() as cursor:
                    cursor.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
                    cursor.execute("INSERT INTO kept VALUES (1)")
                    cursor.execute("SELECT count(*) FROM kept")
                    assert cursor.fetchone() == (time_of_start,)
                client.commit()


@pytest.mark.needs("postgresql")
def test_data_whose_making_was_killed_is_made_anew() -> None:
    with open_folder() as folder:
        server = OwnPostgres(State(folder), "127.0.0.2", 1)
        (server.folder / "data.unfinished").mkdir(parents=True)
        (server.folder / "data.unfinished" / "half").touch()
        assert server.make(PASSWORD)
        assert not server.make(PASSWORD)
        assert not (server.data / "half").exists()
        assert sorted(path.name for path in server.folder.iterdir()) == ["data"]


def program(folder: Path, version: str) -> None:
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (folder / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}.4'\n")
        (folder / name).chmod(0o755)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PostgreSQL 9 and 15 in Debian's folders, and none on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    monkeypatch.setattr(postgres, "DEBIAN", tmp_path / "debian")
    for version in ("9", "15"):
        program(tmp_path / "debian" / version / "bin", version)
    return tmp_path


def test_the_newest_version_is_taken(installed: Path) -> None:
    assert programs(installed / "data")[0] == installed / "debian" / "15" / "bin" / "initdb"


def test_what_is_on_path_comes_first(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(installed / "bin", "14")
    monkeypatch.setenv("PATH", str(installed / "bin"))
    assert programs(installed / "data")[0] == installed / "bin" / "initdb"


def data_of(folder: Path, version: str) -> Path:
    (folder / "data").mkdir()
    (folder / "data" / "PG_VERSION").write_text(f"{version}\n")
    return folder / "data"


def test_data_is_served_by_the_version_that_made_it(installed: Path) -> None:
    assert programs(data_of(installed, "9"))[1] == installed / "debian" / "9" / "bin" / "postgres"


def test_a_version_that_is_gone_is_named(installed: Path) -> None:
    message = r"PostgreSQL version 12, which made .*data, is neither on PATH nor below .*apt-get install postgresql"
    with pytest.raises(ClusterError, match=message):
        programs(data_of(installed, "12"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user")
def test_root_without_the_systems_user_gets_a_message_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "SYSTEM_USER", "nobody-of-this-name")
    with pytest.raises(ClusterError, match=r"this machine has no user 'nobody-of-this-name'.*CLUSTER_POSTGRES"):
        OwnPostgres(State(tmp_path), "127.0.0.2", 1).make(PASSWORD)


def first_word(port: int, user: str, source: str) -> str:
    """The first byte of the response to a user from an address: ``R`` requests the password, ``E`` is an error."""
    startup = b"".join(part.encode() + b"\0" for part in ("user", user, "database", user, ""))
    with socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0)) as wire:
        wire.sendall(struct.pack("!ii", 8 + len(startup), 3 << 16) + startup)
        return wire.recv(1).decode()
