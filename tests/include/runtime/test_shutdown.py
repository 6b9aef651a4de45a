import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from include.contract import settings
from include.contract.command import StepCommand
from include.contract.step_names import StepName
from include.coordination.leases import revoke
from include.errors import ConfigurationError, TemporaryError
from include.runtime import shutdown as shutdown_module
from include.runtime.lease import Lease
from include.runtime.shutdown import GracefulShutdown, NoShutdown, deadline_seconds, watching
from include.stores.objects.memory import MemoryObjects
from include.stores.objects.open import open_objects
from tests.support.processes import is_running

ROOT = Path(__file__).resolve().parents[3]
CALL = ("score", "--project", "flights", "--partition", "2013-10", "--run", "r")
COMMAND = StepCommand(step=StepName.SCORE, project="flights", partition="2013-10", run="r")
OUTCOME = "runs/flights/r/score/2013-10/001/000.json"
SLOW_STEP = """
import subprocess, sys, time
from pathlib import Path
from include.runtime import cli
from include.runtime import lease, runner as runtime
from include.runtime.context import Parts, Plan, Work

folder, kind = Path(sys.argv[1]), sys.argv[2]
lease.LOOK_SECONDS = 0.05

class Slow:
    def plan(self, context):
        if kind == "parts" and not context.command.options:
            return Parts(options=((("source", "a"),), (("source", "b"),)))

        def work(identity):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"], stderr=subprocess.DEVNULL)
            (folder / "child").write_text(str(child.pid))
            (folder / "at-work").touch()
            if kind in {"python", "parts"}:
                time.sleep(120)
            elif kind == "library":
                import ctypes
                ctypes.CDLL(None).sleep(120)  # begins again after a signal, like a library that never looks up
                ctypes.CDLL(None).sleep(120)
                ctypes.CDLL(None).sleep(120)
            return Work(outputs=())
        return Plan(inputs=(), parameters={}, work=work)

runtime.step_module = lambda step: Slow()
raise SystemExit(cli.main(sys.argv[3:]))
"""


def eventually(is_so: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_so()


class Bench:
    """A step that works for two minutes, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = open_objects((folder / "objects").as_uri())

    @contextmanager
    def working(self, kind: str = "python", **environment: str) -> Iterator["subprocess.Popen[str]"]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ML_")}
        places = {settings.OBJECTS_URI: (self.folder / "objects").as_uri(), settings.ERROR_PATH: str(self.words)}
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW_STEP, str(self.folder), kind, *CALL],
            cwd=ROOT,
            env={**kept, **places, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert eventually((self.folder / "at-work").exists)
            yield process
        finally:
            process.kill()
            process.communicate()
            with_child = self.folder / "child"
            if with_child.exists() and self.has_child():
                os.kill(int(with_child.read_text()), signal.SIGKILL)

    @property
    def words(self) -> Path:
        return self.folder / "words"

    def outcome(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.objects.get(OUTCOME))
        return found

    def has_child(self) -> bool:
        return is_running(int((self.folder / "child").read_text()))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("kind", ["python", "library"])
def test_a_step_that_is_told_to_end_says_so_and_leaves_whatever_it_is_doing(bench: Bench, kind: str) -> None:
    with bench.working(kind) as process:
        began = time.monotonic()
        process.terminate()
        _, said = process.communicate(timeout=30)
        assert time.monotonic() - began < 8
    assert process.returncode == 75
    assert bench.outcome()["exit_code"] == 75
    assert "The step was told to end (SIGTERM) after" in bench.outcome()["message"]
    assert bench.words.read_text() == bench.outcome()["message"]
    assert '"event": "failed"' in said.splitlines()[-1]
    assert eventually(lambda: not bench.has_child())


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_step_of_several_parts_that_is_told_to_end_ends_as_one(bench: Bench, threads: str) -> None:
    with bench.working("parts", **{settings.THREADS: threads}) as process:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 75
    assert "The step was told to end (SIGTERM) after" in bench.outcome()["message"]
    assert bench.words.read_text() == bench.outcome()["message"]
    assert bench.objects.list("runs/") == [OUTCOME]
    assert bench.objects.list("receipts/") == []
    assert eventually(lambda: not bench.has_child())


def test_a_step_ends_itself_at_its_deadline(bench: Bench) -> None:
    with bench.working("library", **{settings.DEADLINE_SECONDS: "4"}) as process:
        process.communicate(timeout=60)
    assert process.returncode == 75
    assert bench.words.read_text().startswith("The step worked for longer than 4 s (ML_DEADLINE_SECONDS) and ended")
    assert bench.outcome()["message"] == bench.words.read_text()
    assert eventually(lambda: not bench.has_child())


def test_a_step_that_was_called_off_ends_itself(bench: Bench) -> None:
    with bench.working("library") as process:
        revoke(bench.objects, COMMAND)
        process.communicate(timeout=60)
    assert process.returncode == 75
    assert "was called off" in bench.words.read_text()
    assert "was called off" in bench.outcome()["message"]


def test_without_anybody_who_reads_last_words_sigterm_ends_a_step_at_once(bench: Bench) -> None:
    with bench.working("python", **{settings.ERROR_PATH: ""}) as process:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    assert not bench.objects.exists(OUTCOME)


@pytest.fixture
def _no_child_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Spare this process's children, for they are the servers that all tests share.

    That a step's children are killed is shown by the tests with a process of their own.
    """
    monkeypatch.setattr("include.runtime.shutdown._kill_children", lambda: None)


class Inside:
    """A shutdown in this process that does not end it."""

    def __init__(self) -> None:
        self.logged: list[str] = []
        self.recorded: list[str] = []
        self.left: list[int] = []
        self.shutdown = GracefulShutdown(lambda error: self.logged.append(str(error)), self.left.append)
        self.lease = Lease(MemoryObjects(), COMMAND)

    def engage(self) -> None:
        self.shutdown.engage(self.lease, lambda error: self.recorded.append(str(error)))


@pytest.mark.usefixtures("_no_child_is_killed")
def test_of_several_reasons_the_first_counts() -> None:
    inside = Inside()
    inside.engage()
    with inside.lease:
        inside.shutdown.stop(TemporaryError("First."))
        inside.shutdown.stop(TemporaryError("Second."))
        with pytest.raises(TemporaryError, match="First"):
            inside.lease.check()
    assert (inside.logged, inside.recorded, inside.left) == (["First."], ["First."], [75])


@pytest.mark.usefixtures("_no_child_is_killed")
def test_a_step_that_has_not_begun_leaves_only_its_last_words() -> None:
    inside = Inside()
    inside.shutdown.stop(TemporaryError("First."))
    assert (inside.logged, inside.recorded, inside.left) == (["First."], [], [75])


@pytest.mark.usefixtures("_no_child_is_killed")
def test_a_step_that_is_writing_its_receipt_may_finish_but_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown_module, "CONCLUSION_SECONDS", 0.2)
    inside = Inside()
    inside.engage()
    inside.shutdown.conclude()
    inside.shutdown.conclude()
    began = time.monotonic()
    inside.shutdown.stop(TemporaryError("First."))
    assert time.monotonic() - began >= 0.2
    assert (inside.logged, inside.recorded, inside.left) == (["First."], [], [75])


@pytest.mark.usefixtures("_no_child_is_killed")
def test_a_step_that_is_being_ended_does_not_conclude_any_more() -> None:
    inside = Inside()
    inside.shutdown.stop(TemporaryError("First."))
    concluding = threading.Thread(target=inside.shutdown.conclude, daemon=True)
    concluding.start()
    concluding.join(0.2)
    assert concluding.is_alive()


@pytest.mark.usefixtures("_no_child_is_killed")
def test_an_outcome_that_cannot_be_written_holds_up_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown_module, "RECORD_SECONDS", 0.1)
    inside = Inside()
    hanging = threading.Event()
    inside.shutdown.engage(inside.lease, lambda _error: hanging.wait(60))
    inside.shutdown.stop(TemporaryError("First."))
    hanging.set()
    assert inside.left == [75]


@pytest.mark.usefixtures("_no_child_is_killed")
def test_an_outcome_that_fails_to_be_written_hides_no_reason() -> None:
    inside = Inside()

    def failing(_error: TemporaryError) -> None:
        raise TemporaryError("No answer.")

    inside.shutdown.engage(inside.lease, failing)
    inside.shutdown.stop(TemporaryError("First."))
    assert (inside.logged, inside.left) == (["First."], [75])


@pytest.mark.usefixtures("_no_child_is_killed")
def test_without_a_deadline_and_a_reader_nothing_watches() -> None:
    before, handler = threading.active_count(), signal.getsignal(signal.SIGTERM)
    with watching(Inside().shutdown, {}):
        assert threading.active_count() == before
        assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.usefixtures("_no_child_is_killed")
def test_what_was_caught_before_is_caught_again_afterwards() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    inside = Inside()
    with watching(inside.shutdown, {settings.ERROR_PATH: "/somewhere"}):
        assert signal.getsignal(signal.SIGTERM) is not handler
        os.kill(os.getpid(), signal.SIGTERM)
        assert eventually(lambda: inside.left == [75])
    assert signal.getsignal(signal.SIGTERM) is handler
    assert signal.set_wakeup_fd(-1) == -1
    assert eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "watch"])


@pytest.mark.parametrize("given", ["soon", "0", "-1", "nan", "inf"])
def test_a_deadline_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"ML_DEADLINE_SECONDS is '{given}'; a number of seconds"):
        deadline_seconds({settings.DEADLINE_SECONDS: given})


def test_a_deadline_may_have_a_fraction() -> None:
    assert deadline_seconds({settings.DEADLINE_SECONDS: "1.5"}) == 1.5
    assert deadline_seconds({}) is None


def test_a_step_without_a_stopper_ends_only_itself() -> None:
    nobody = NoShutdown()
    nobody.engage(Lease(MemoryObjects(), COMMAND), lambda _error: None)
    nobody.conclude()
    nobody.stop(TemporaryError("Ignored."))
