import json
import os
import random
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from include.contract import settings
from include.stores.installation import Stores
from local_platform import cli
from local_platform.console import Console
from local_platform.demo.airflow_api import AirflowApi
from local_platform.errors import AirflowApiError
from local_platform.locations import REPOSITORY, STATE_VARIABLE, State
from local_platform.services import processes
from local_platform.services.fleet import exclusive
from tests.support.processes import listening
from tests.support.whole_tables import faults_of

CLEANUP_SECONDS = 45.0
MONTHS = [f"2013-{month:02d}" for month in range(1, 11)]


def _listen_to_interrupts() -> None:
    """As on a terminal: a shell that starts tests in the background lets them, and what they start, ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Call:
    """One call of the command line, with a state folder of its own."""

    def __init__(self, root: Path, *words: str, **variables: str) -> None:
        self._log = root.parent / f"{root.name}-{'-'.join(words)}-{time.monotonic_ns()}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(cli.FOREIGN)}
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local_platform.cli", *words],
                cwd=REPOSITORY,
                env=kept | {STATE_VARIABLE: str(root)} | variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 (no thread of this process holds a lock then)
            )

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_for(self, words: str, seconds: float = 600.0) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.output:
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"never printed '{words}':\n{self.output}")
            time.sleep(0.2)

    def end(self, seconds: float = 1200.0) -> int:
        return self.process.wait(seconds)


def left_of(root: Path) -> list[int]:
    """Numbers of the processes that still carry the state's mark after the guards had time to end them."""
    deadline = time.monotonic() + CLEANUP_SECONDS
    mark = f"{STATE_VARIABLE}={root}"
    while (left := processes.strays(mark, [], REPOSITORY)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return [process.pid for process in left]


@dataclass
class Ending:
    code: int
    output: str
    left: list[int]


@dataclass
class Story:
    """One state folder, through every kind of interruption to the end, and once more."""

    root: Path
    endings: dict[str, Ending] = field(default_factory=dict)

    def interrupt(self, name: str, at: str, number: signal.Signals, *, service: str = "") -> None:
        """Run until something was printed and some seconds more, then send a signal to the command or to a service."""
        call = Call(self.root, "run")
        call.wait_for(at)
        time.sleep(random.Random(name).uniform(2, 12))  # noqa: S311 (another moment for each)
        if service:
            record = json.loads((self.root / "services" / f"{service}.json").read_text())
            os.kill(record["service"][0], number)
        else:
            call.process.send_signal(number)
        self._keep(name, call)

    def finish(self, name: str) -> None:
        self._keep(name, Call(self.root, "run"))

    def _keep(self, name: str, call: Call) -> None:
        code = call.end()
        self.endings[name] = Ending(code, call.output, left_of(self.root))

    def versions(self) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.root / "mlflow" / "mlflow.db")) as connection:
            return connection.execute("SELECT name, version FROM model_versions").fetchall()

    def stores(self) -> Stores:
        return Stores({name: value.format(state=self.root) for name, value in settings.LOCAL_DEFAULTS.items()})


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    story = Story(tmp_path_factory.mktemp("platform") / "state")
    data = "flights_data 2013-01 to 2013-09:"
    story.interrupt("killed while services start", "Services:", signal.SIGKILL)
    story.interrupt("without MLflow", data, signal.SIGKILL, service="mlflow")
    story.interrupt("killed in the data", data, signal.SIGKILL)
    story.interrupt("interrupted in the training", "flights_training:", signal.SIGINT)
    story.interrupt("killed in the training", "flights_training:", signal.SIGKILL)
    story.finish("at last")
    story.finish("once more")
    return story


@pytest.mark.e2e
@pytest.mark.timeout(2400)
class TestRun:
    def test_it_ends_well_after_every_interruption(self, story: Story) -> None:
        ending = story.endings["at last"]
        assert ending.code == 0, ending.output
        assert re.search(r"AUC of 2013-10\s+0\.[67]\d\d \(0\.\d{3} to 0\.\d{3}\)", ending.output)
        assert re.search(r"served\s+departure_delay version 1", ending.output)
        assert ending.output.count("probability 0.") == 5

    @pytest.mark.parametrize(
        "name", ["killed while services start", "killed in the data", "killed in the training", "at last"]
    )
    def test_nothing_is_left_behind(self, story: Story, name: str) -> None:
        assert story.endings[name].left == []

    def test_an_interrupt_ends_everything(self, story: Story) -> None:
        ending = story.endings["interrupted in the training"]
        assert (ending.code, ending.left) == (130, []), ending.output

    def test_without_mlflow_it_reports_that_and_ends(self, story: Story) -> None:
        ending = story.endings["without MLflow"]
        assert (ending.code, ending.left) == (1, [])
        assert "mlflow ended by itself. The end of" in ending.output

    def test_one_training_gives_one_version(self, story: Story) -> None:
        assert story.versions() == [("departure_delay", 1)]

    def test_no_partition_is_doubled_or_torn(self, story: Story) -> None:
        assert faults_of(story.stores().tables, MONTHS) == []

    def test_once_more_finds_all_work_done(self, story: Story) -> None:
        ending = story.endings["once more"]
        assert ending.code == 0, ending.output
        match = re.search(r"(\d+) of (\d+) steps found their work already done", ending.output)
        assert match
        assert int(match[1]) >= int(match[2]) - 1


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The services as ``make up`` leaves them: their state folder, and what was printed."""
    root = tmp_path_factory.mktemp("up") / "state"
    call = Call(root, "up")
    call.end(400)
    yield root, call.output
    assert Call(root, "down").end(120) == 0
    assert left_of(root) == []


@pytest.mark.airflow
@pytest.mark.timeout(600)
class TestUp:
    def test_it_tells_where_everything_is(self, platform: tuple[Path, str]) -> None:
        root, output = platform
        passwords = json.loads((root / "secrets" / "passwords.json").read_text())
        for user in ("admin", "viewer"):
            assert f"{user} / {passwords[user]}" in output
        assert stat.S_IMODE((root / "secrets" / "passwords.json").stat().st_mode) == 0o600

    def test_both_users_can_log_in_and_one_may_change_nothing(self, platform: tuple[Path, str]) -> None:
        root, _ = platform
        port = json.loads((root / "ports.json").read_text())["airflow"]
        passwords = json.loads((root / "secrets" / "passwords.json").read_text())
        url = f"http://127.0.0.1:{port}"
        AirflowApi(url, "admin", passwords["admin"]).runs("flights_training")
        viewer = AirflowApi(url, "viewer", passwords["viewer"])
        assert viewer.has_dag("flights_data")
        with pytest.raises(AirflowApiError, match="responded 403"):
            viewer.unpause("flights_data")

    def test_everything_listens_on_loopback_alone(self, platform: tuple[Path, str]) -> None:
        root, _ = platform
        ports = json.loads((root / "ports.json").read_text())
        for port in ports.values():
            assert listening(port) == {f"127.0.0.1:{port}"}

    def test_up_again_changes_nothing(self, platform: tuple[Path, str]) -> None:
        root, output = platform
        again = Call(root, "up")
        assert again.end(60) == 0
        assert again.output in output

    def test_mlflow_responds(self, platform: tuple[Path, str]) -> None:
        root, _ = platform
        port = json.loads((root / "ports.json").read_text())["mlflow"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as response:
            assert response.status == 200


def test_a_named_port_that_is_taken_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        call = Call(tmp_path / "state", "up", AIRFLOW_PORT=str(port))
        assert call.end(60) == 1
    assert f"AIRFLOW_PORT is {port}, and that port is already taken on 127.0.0.1." in call.output
    assert left_of(tmp_path / "state") == []


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    with exclusive(State(tmp_path / "state")):
        call = Call(tmp_path / "state", "run")
        assert call.end(60) == 1
    assert f"Process {os.getpid()} " in call.output
    assert "Wait for it to end, or stop it with Ctrl-C." in call.output


def test_down_with_nothing_running_reports_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.down(State(tmp_path / "state"), Console()) == 0
    assert capsys.readouterr().out == "nothing was running\n"
