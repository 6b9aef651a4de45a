import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from include.errors import TemporaryError
from plugins.operators.local import process as step_process
from plugins.operators.local.process import OrdinaryProcess, follow, wait_for_end
from tests.support.processes import all_gone
from tests.support.step_bundle import wait_until

ROOT = str(Path(step_process.__file__).resolve().parents[3])


class Kept:
    """Output that is kept."""

    def __init__(self) -> None:
        self.text = b""
        self.is_flushed = False

    def take(self, data: bytes) -> None:
        self.text += data

    def flush(self) -> None:
        self.is_flushed = True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle whose steps are whatever script a test writes."""
    steps = tmp_path / "include" / "steps"
    steps.mkdir(parents=True)
    (tmp_path / "include" / "__init__.py").touch()
    (steps / "__init__.py").touch()
    return tmp_path


def start(folder: Path, script: str, grace: float = 30.0) -> OrdinaryProcess:
    (folder / "include" / "steps" / "__main__.py").write_text(script)
    return OrdinaryProcess(["word"], {"PATH": os.environ["PATH"], "GIVEN": "yes"}, folder, grace)


def test_output_and_exit_code_come_back(folder: Path) -> None:
    process, kept = start(folder, "import os, sys; print(sys.argv[1:], os.environ['GIVEN']); sys.exit(75)"), Kept()
    try:
        assert follow(process, kept) == 75
    finally:
        process.close()
    assert kept.text == b"['word'] yes\n"
    assert kept.is_flushed


def test_the_process_leads_a_session_in_the_bundle_and_is_asked_to_die_with_its_parent(folder: Path) -> None:
    script = "import os; print(os.getsid(0) == os.getpid(), os.getcwd(), os.environ['ML_DIE_WITH_PARENT'])"
    process, kept = start(folder, script), Kept()
    follow(process, kept)
    process.close()
    assert kept.text.decode().split() == ["True", str(folder), "1"]


def test_what_a_finished_process_left_running_is_ended(folder: Path) -> None:
    script = "import subprocess; print(subprocess.Popen(['sleep', '300']).pid, flush=True)"
    process, kept = start(folder, script), Kept()
    assert follow(process, kept) == 0
    process.close()
    assert all_gone([int(kept.text)])


def test_a_group_that_does_not_listen_is_killed_after_its_grace(folder: Path) -> None:
    script = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "time.sleep(300)\n"
    )
    process, kept = start(folder, script, grace=0.2), Kept()
    wait_until(lambda: step_process._read(process.output, kept), "the process to speak")
    wait_for_end(process, kept)
    assert process.exit_code() == -signal.SIGKILL
    process.close()
    assert all_gone([int(word) for word in kept.text.split()])


def test_an_ordinary_process_dies_with_its_parent_though_it_and_its_child_do_not_listen(folder: Path) -> None:
    (folder / "include" / "steps" / "__main__.py").write_text(
        f"import os, signal, subprocess, sys, time; sys.path.insert(0, {ROOT!r})\n"
        "del sys.modules['include.steps'], sys.modules['include']\n"
        "from include.runtime.parent_watch import end_with_parent; end_with_parent()\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '300'])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}'); os.rename('pids', 'pids.txt'); time.sleep(300)\n"
    )
    code = (
        f"import sys, time; sys.path.insert(0, {ROOT!r}); from pathlib import Path\n"
        "from plugins.operators.local.process import OrdinaryProcess\n"
        f"process = OrdinaryProcess([], {{}}, Path({str(folder)!r}), 1.0)\n"
        "time.sleep(300)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until((folder / "pids.txt").exists, "the child")
    pids = [int(word) for word in (folder / "pids.txt").read_text().split()]
    assert not all_gone(pids[:1])
    assert not all_gone(pids[1:])
    parent.kill()
    parent.wait()
    wait_until(lambda: all_gone(pids), "the group to follow its parent")


def test_a_supervisor_that_is_gone_ends_the_step(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(step_process, "LOG_DESCRIPTOR", writing)
    process, kept = start(folder, "import time; time.sleep(300)"), Kept()
    os.close(reading)
    with pytest.raises(TemporaryError, match="supervisor of this task is gone"):
        follow(process, kept)
    os.close(writing)
    process.close()
    assert all_gone([process.pid])
