"""The supervisor and its workers as processes: switches under load, deaths, restarts, refusals."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from include.errors import DataRejectedError, TemporaryError
from include.packaging.files import GOLDEN, MANIFEST, MODEL, write_bundle
from include.serving.processes.supervisor import parser
from include.stores.serving.control import ModelRecord, Request, StartCommand, record_of, send
from include.stores.serving.local import LocalServing
from include.stores.serving.settings import ServingSettings
from tests.support.processes import is_running
from tests.support.servers.mlflow_server import free_port
from tests.support.serving_bundles import (
    ROOT,
    RunningServer,
    bundle,
    clean_environment,
    rows,
    running_supervisor,
    split_body,
    wait_until,
    workers_of,
)

SETTINGS = ServingSettings(drain_seconds=3)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_supervisor(tmp_path / "state", tmp_path / "c.sock") as result:
        yield result


def deploy(server: RunningServer, version: int, seed: int = 1) -> None:
    serving = LocalServing(server.control)
    serving.start(bundle(seed), version, SETTINGS)
    serving.activate(record_of(bundle(seed), version))


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def request(port: int, connection: http.client.HTTPConnection | None = None) -> tuple[int, str | None]:
    used = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    used.request("POST", "/invocations", split_body(rows(1, seed=4)), {"Content-Type": "application/json"})
    response = used.getresponse()
    response.read()
    if connection is None:
        used.close()
    return response.status, response.headers["X-Model-Version"]


class Clients:
    """Clients that keep asking: half on one connection, half on a new one each time."""

    def __init__(self, port: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port, self._stop = port, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number % 2 == 0,)) for number in range(4)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, keep: bool) -> None:  # noqa: FBT001
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60) if keep else None
        while not self._stop.wait(0.01):
            try:
                status, version = request(self._port, connection)
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[repr(error)] += 1
                continue
            self.outcomes[f"{status} from {version}"] += 1
        if connection is not None:
            connection.close()


def test_no_request_fails_while_versions_switch_and_roll_back(server: RunningServer) -> None:
    deploy(server, 1)
    with Clients(port_of(server.url)) as clients:
        for version in (2, 3):
            deploy(server, version, seed=version)
        LocalServing(server.control).rollback(record_of(bundle(3), 3))
        wait_until(lambda: clients.outcomes["200 from 2"] > 50)
    assert set(clients.outcomes) == {"200 from 1", "200 from 2", "200 from 3"}


def test_port_states_that_nothing_is_deployed(server: RunningServer) -> None:
    assert request(port_of(server.url)) == (503, None)


def test_control_socket_is_the_users_alone(server: RunningServer) -> None:
    assert server.control.stat().st_mode & 0o777 == 0o600


def test_active_worker_that_dies_is_started_again(server: RunningServer) -> None:
    deploy(server, 1)
    port, (worker,) = port_of(server.url), workers_of(server.process)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: request(port) == (503, None), 10)
    wait_until(lambda: request(port) == (200, "1"), 120)
    assert workers_of(server.process) != [worker]


def test_supervisor_brings_the_active_version_back(tmp_path: Path) -> None:
    port = free_port()
    with running_supervisor(tmp_path / "state", tmp_path / "c.sock", port) as server:
        deploy(server, 1)
        deploy(server, 2)
    with running_supervisor(tmp_path / "state", tmp_path / "c.sock", port) as server:
        wait_until(lambda: request(port) == (200, "2"), 120)
        status = LocalServing(server.control).rollback(record_of(bundle(1), 2))
        assert status.active is not None
        assert request(port) == (200, "1")


def test_workers_die_with_a_killed_supervisor_and_the_next_one_takes_over(tmp_path: Path) -> None:
    port = free_port()
    with running_supervisor(tmp_path / "state", tmp_path / "c.sock", port) as server:
        deploy(server, 1)
        workers = workers_of(server.process)
        server.process.kill()
        server.process.wait()
        wait_until(lambda: not any(is_running(worker) for worker in workers), 30)
    with running_supervisor(tmp_path / "state", tmp_path / "c.sock", port):
        wait_until(lambda: request(port) == (200, "1"), 120)


def test_sigterm_ends_everything_with_exit_code_0(server: RunningServer) -> None:
    deploy(server, 1)
    workers = workers_of(server.process)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=60) == 0
    assert not any(is_running(worker) for worker in workers)
    assert not server.control.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (MODEL, b"\x80\x04.", r"model\.skops of bundle .*it is a pickle"),
        (GOLDEN, b"{}", r"golden\.json of bundle .* was not opened"),
        (MODEL, None, r"model\.skops of the bundle cannot be read"),
        (MANIFEST, b"{}", "but the bundle should be"),
    ],
)
def test_bundle_that_is_not_what_it_should_be_is_refused(
    server: RunningServer, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    write_bundle(bundle(), tmp_path / "bundle")
    path = tmp_path / "bundle" / name
    path.unlink() if content is None else path.write_bytes(content)
    command = StartCommand(folder=tmp_path / "bundle", record=record_of(bundle(), 1), settings=SETTINGS)
    with pytest.raises(DataRejectedError, match=message):
        send(server.control, command, timeout_seconds=120)
    assert LocalServing(server.control).status("flights", "departure_delay").candidate is None
    assert list((server.state / "bundles").iterdir()) == []


def test_folder_that_is_not_there_is_refused(server: RunningServer, tmp_path: Path) -> None:
    command = StartCommand(folder=tmp_path / "none", record=record_of(bundle(), 1), settings=SETTINGS)
    with pytest.raises(DataRejectedError, match="cannot be copied"):
        send(server.control, command, timeout_seconds=60)


def test_candidate_that_died_cannot_be_activated(server: RunningServer) -> None:
    serving = LocalServing(server.control)
    serving.start(bundle(), 1, SETTINGS)
    os.kill(workers_of(server.process)[0], signal.SIGKILL)
    wait_until(lambda: not workers_of(server.process))
    with pytest.raises(TemporaryError, match="has ended; start it again"):
        serving.activate(record_of(bundle(), 1))


def test_what_the_server_does_not_understand_gets_a_reply(server: RunningServer) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(server.control))
        connection.sendall(b'{"command": {"verb": "fly"}}\n')
        reply = json.loads(connection.makefile("rb").readline())
    assert reply["kind"] == "configuration"
    assert "does not understand" in reply["message"]


def run(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "include.serving.processes.supervisor", *arguments]
    return subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, timeout=60, check=False)


def test_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--state", str(tmp_path / "s"), "--control", str(tmp_path / "c"), "--port", str(port))
    assert done.returncode == os.EX_CONFIG
    expected = f"Cannot listen on 127.0.0.1:{port}: Address already in use. Free it, or choose another --port.\n"
    assert done.stderr.decode() == expected


def test_second_supervisor_on_one_state_is_refused(server: RunningServer) -> None:
    done = run("--state", str(server.state), "--control", f"{server.control}2", "--port", "0")
    assert done.returncode == os.EX_CONFIG
    assert "Another model server runs on" in done.stderr.decode()


def test_damaged_state_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "serving.json").write_text("{")
    done = run("--state", str(tmp_path), "--control", str(tmp_path / "c"), "--port", "0")
    assert done.returncode == os.EX_CONFIG
    assert "cannot be read" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_bundles_of_candidates_that_nobody_knows_are_swept(tmp_path: Path) -> None:
    (tmp_path / "state" / "bundles" / "000009-x").mkdir(parents=True)
    with running_supervisor(tmp_path / "state", tmp_path / "c.sock") as server:
        assert list((server.state / "bundles").iterdir()) == []


def test_port_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(["--state", "s", "--control", "c"])
    assert "--port" in capsys.readouterr().err


def test_requests_are_one_line() -> None:
    record = ModelRecord(project="p", model="m", version=1, digest="d")
    command = StartCommand(folder=Path("/f"), record=record, settings=SETTINGS)
    assert "\n" not in Request(command=command).model_dump_json()
