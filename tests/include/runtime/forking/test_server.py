import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contract.fork_protocol import Ended, ForkRequest, Refused, Response, Started, response_from_line
from tests.support.processes import all_gone, is_running
from tests.support.step_bundle import (
    Bundle,
    fork_server,
    make_bundle,
    step_environment,
    wait_until,
)

OPTIONS = ("--project", "flights", "--partition", "2013-03", "--run", "r")
INGEST = ("ingest", *OPTIONS, "--source", "flights")


class Caller:
    """One connection, as an operator has it."""

    def __init__(self, path: Path, request: ForkRequest) -> None:
        self.output, writing = os.pipe()
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(60)
        self.connection.connect(str(path))
        socket.send_fds(self.connection, [request.to_line()], [writing, writing])
        os.close(writing)
        self._reader = self.connection.makefile("rb")

    def response(self) -> Response:
        return response_from_line(self._reader.readline())

    def written(self) -> str:
        with os.fdopen(os.dup(self.output), "rb") as stream:
            return stream.read().decode()

    def leave(self) -> None:
        self._reader.close()
        self.connection.close()
        os.close(self.output)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path)


@pytest.fixture
def path(bundle: Bundle, tmp_path: Path) -> Path:
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    return folder / "fork.sock"


@pytest.fixture
def server(bundle: Bundle, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with fork_server(bundle, path) as process:
        yield process


def request(bundle: Bundle, words: tuple[str, ...] = INGEST, grace: float = 30.0, **more: str) -> ForkRequest:
    environment = step_environment(bundle, bundle.folder / "objects", **more)
    return ForkRequest(arguments=words, environment=environment, folder=str(bundle.root), grace_seconds=grace)


def ask(path: Path, asked: ForkRequest) -> tuple[Response, Response, str]:
    caller = Caller(path, asked)
    try:
        started = caller.response()
        return started, caller.response(), caller.written()
    finally:
        caller.leave()


def is_accepted(path: Path, asked: ForkRequest) -> bool:
    caller = Caller(path, asked)
    try:
        return isinstance(caller.response(), Started)
    finally:
        caller.leave()


def test_a_step_runs_and_its_output_comes_back(server: object, bundle: Bundle, path: Path) -> None:
    started, ended, written = ask(path, request(bundle))
    assert isinstance(started, Started)
    assert ended == Ended(0)
    assert '"event": "done"' in written


def test_exit_codes_come_back(server: object, bundle: Bundle, path: Path) -> None:
    codes = {}
    for behaviour in ("rejected", "temporary", "skip", "bug", "killed before"):
        _, codes[behaviour], _ = ask(path, request(bundle, ML_TEST_BEHAVIOUR=behaviour))
    assert codes == {
        "rejected": Ended(65),
        "temporary": Ended(75),
        "skip": Ended(99),
        "bug": Ended(70),
        "killed before": Ended(-9),
    }
    _, usage, written = ask(path, request(bundle, ("ingest",)))
    assert usage == Ended(78)
    assert "the following arguments are required" in written


def test_a_step_has_the_callers_surroundings_and_none_of_the_servers(
    server: object, bundle: Bundle, path: Path
) -> None:
    ask(path, request(bundle, OMP_NUM_THREADS="1"))
    receipt = next((bundle.folder / "objects" / "receipts").rglob("*.json")).read_text()
    assert f'"folder":"{bundle.root}"' in receipt
    assert (
        '"environment":["HOME","ML_OBJECTS_URI","ML_TEST_FOLDER","OMP_NUM_THREADS","OMP_WAIT_POLICY","PATH"]' in receipt
    )


def test_many_steps_run_at_once_each_leading_its_own_group(server: object, bundle: Bundle, path: Path) -> None:
    words = {step: (step, *OPTIONS) for step in ("validate", "profile", "features")}
    callers = {step: Caller(path, request(bundle, word, 0.2, ML_TEST_BEHAVIOUR="hang")) for step, word in words.items()}
    for step, caller in callers.items():
        started = caller.response()
        pid, _ = bundle.pids(step)
        assert started == Started(pid)
        assert os.getpgid(pid) == os.getsid(pid) == pid
    for caller in callers.values():
        caller.leave()
    for step in words:
        wait_until(lambda step=step: all_gone(bundle.pids(step)), "the groups to end")  # type: ignore[misc]


def test_a_caller_that_leaves_takes_the_whole_group_along(server: object, bundle: Bundle, path: Path) -> None:
    caller = Caller(path, request(bundle, grace=0.2, ML_TEST_BEHAVIOUR="hang"))
    pids = bundle.pids("ingest")
    assert all(is_running(pid) for pid in pids)
    caller.leave()
    wait_until(lambda: all_gone(pids), "the group to end")


def test_a_caller_that_closes_its_side_learns_of_the_end(server: object, bundle: Bundle, path: Path) -> None:
    caller = Caller(path, request(bundle, grace=0.2, ML_TEST_BEHAVIOUR="hang"))
    assert isinstance(caller.response(), Started)
    pids = bundle.pids("ingest")
    caller.connection.shutdown(socket.SHUT_WR)
    assert caller.response() == Ended(-signal.SIGKILL)
    assert all_gone(pids)
    caller.leave()


def test_what_a_finished_step_left_running_ends_before_the_step_counts_as_ended(
    server: object, bundle: Bundle, path: Path
) -> None:
    _, ended, written = ask(path, request(bundle, ML_TEST_BEHAVIOUR="leaves a child"))
    assert ended == Ended(0)
    pid = int(written.split('"pid": ')[1].split("}")[0])
    assert not is_running(pid)


def test_a_server_that_is_told_to_end_ends_its_children(
    server: subprocess.Popen[bytes], bundle: Bundle, path: Path
) -> None:
    caller = Caller(path, request(bundle, grace=0.2, ML_TEST_BEHAVIOUR="hang"))
    pids = bundle.pids("ingest")
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
    assert all_gone(pids)
    assert not path.exists()
    caller.leave()


def test_the_step_dies_with_a_server_that_is_killed(
    server: subprocess.Popen[bytes], bundle: Bundle, path: Path
) -> None:
    caller = Caller(path, request(bundle, ML_TEST_BEHAVIOUR="hang"))
    leader, child = bundle.pids("ingest")
    server.kill()
    wait_until(lambda: not is_running(leader), "the step to die")
    os.kill(child, signal.SIGKILL)  # the rest of the group is its caller's task
    caller.leave()


def test_changed_code_is_never_run_by_a_server_that_imported_the_old(
    server: object, bundle: Bundle, path: Path
) -> None:
    assert ask(path, request(bundle))[1] == Ended(0)
    step = bundle.root / "include" / "steps" / "ingest" / "step.py"
    step.write_text(step.read_text().replace("chosen = behaviour(context)", "chosen = print('the new code')"))
    caller = Caller(path, request(bundle))
    response = caller.response()
    caller.leave()
    assert isinstance(response, Refused)
    assert "include/steps/ingest/step.py changed since the server imported it" in response.reason
    wait_until(lambda: is_accepted(path, request(bundle)), "the server to begin anew")
    _, ended, written = ask(path, request(bundle, ML_TEST_BEHAVIOUR="anew"))
    assert ended == Ended(0)
    assert "the new code" in written


def test_a_server_with_changed_code_lets_running_steps_finish(server: object, bundle: Bundle, path: Path) -> None:
    running = Caller(path, request(bundle, ("validate", *OPTIONS), 0.2, ML_TEST_BEHAVIOUR="hang"))
    running.response()
    pids = bundle.pids("validate")
    (bundle.root / "include" / "errors.py").touch()
    refused = Caller(path, request(bundle))
    assert isinstance(refused.response(), Refused)
    refused.leave()
    assert all(is_running(pid) for pid in pids)
    running.leave()
    wait_until(lambda: is_accepted(path, request(bundle)), "the server to begin anew")


def test_project_code_is_imported_anew_by_each_step(server: object, bundle: Bundle, path: Path) -> None:
    ask(path, request(bundle))
    (bundle.root / "include" / "projects" / "flights" / "features.py").write_text("changed = 1\n")
    assert ask(path, request(bundle))[1] == Ended(0)


def test_another_bundles_step_is_refused(server: object, bundle: Bundle, path: Path, tmp_path: Path) -> None:
    asked = ForkRequest(arguments=INGEST, environment={}, folder=str(tmp_path), grace_seconds=1)
    caller = Caller(path, asked)
    response = caller.response()
    caller.leave()
    assert isinstance(response, Refused)
    assert "the step asks for that of" in response.reason


def test_a_request_without_descriptors_or_sense_is_refused(server: object, bundle: Bundle, path: Path) -> None:
    for line, reason in ((request(bundle).to_line(), "0 file descriptors"), (b"hello\n", "no message of format")):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(path))
            connection.sendall(line)
            response = response_from_line(connection.makefile("rb").readline())
        assert isinstance(response, Refused)
        assert reason in response.reason


def test_the_server_has_one_python_thread_and_its_socket_is_its_users(
    server: subprocess.Popen[bytes], path: Path
) -> None:
    assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_second_server_does_not_take_the_socket_over(server: object, bundle: Bundle, path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        subprocess.run(
            [sys.executable, "-m", "include.runtime.forking.server", "--socket", str(path)],
            cwd=bundle.root,
            check=True,
            capture_output=True,
            text=True,
        )
    assert failed.value.returncode == 78
    assert "Another fork server already answers" in failed.value.stderr
    assert ask(path, request(bundle))[1] == Ended(0)
