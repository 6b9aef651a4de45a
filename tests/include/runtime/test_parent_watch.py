"""A step that follows its parent, and the process that sees to it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from include.contract import settings
from include.processes import signal_group
from include.runtime.parent_watch import end_with_parent
from tests.support.processes import all_gone, children_of
from tests.support.step_bundle import wait_until

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
START = (
    "import os, signal, subprocess, sys, time\n"
    "from include.runtime.parent_watch import end_with_parent\n"
    "end_with_parent()\n"
    "watcher = open(f'/proc/{os.getpid()}/task/{os.getpid()}/children').read().split()\n"
)


def step(folder: Path, script: str) -> subprocess.Popen[bytes]:
    """A parent that starts a step of its own session, and waits."""
    code = (
        "import os, subprocess, sys\n"
        f"done = subprocess.run([sys.executable, '-c', {START + script!r}], start_new_session=True, "
        f"env={{**os.environ, {settings.DIE_WITH_PARENT!r}: '1'}})\n"
        "sys.exit(done.returncode)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    )


def said(folder: Path) -> list[int]:
    wait_until((folder / "pids.txt").exists, "the step")
    return [int(word) for word in (folder / "pids.txt").read_text().split()]


SPEAK = (
    "open('pids', 'w').write(' '.join(map(str, [os.getpid(), child.pid, *watcher]))); os.rename('pids', 'pids.txt')\n"
)


def test_the_watcher_goes_with_the_step_and_holds_none_of_its_files(tmp_path: Path) -> None:
    with step(tmp_path, "child = subprocess.Popen(['true'])\n" + SPEAK + "child.wait()\nprint('done')\n") as parent:
        output, _ = parent.communicate(timeout=60)  # ends only once nobody holds the pipe any more
    assert (parent.returncode, output) == (0, b"done\n")
    pids = said(tmp_path)
    assert len(pids) == 3
    wait_until(lambda: all_gone(pids), "the watcher to end")


def test_a_deaf_step_and_its_child_are_killed_once_the_parent_is_gone(tmp_path: Path) -> None:
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nchild = subprocess.Popen(['sleep', '300'])\n"
    with step(tmp_path, deaf + SPEAK + "time.sleep(300)\n") as parent:
        pids = said(tmp_path)
        parent.kill()
    wait_until(lambda: all_gone(pids), "the group to end")


def test_a_child_that_a_finished_step_left_ends_with_the_parent(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        f"subprocess.run([sys.executable, '-c', {START!r} + \"child = subprocess.Popen(['sleep', '300'])\\n\" + "
        f"{SPEAK!r}], start_new_session=True, env={{**os.environ, {settings.DIE_WITH_PARENT!r}: '1'}})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False, timeout=60)
    pids = said(tmp_path)
    wait_until(lambda: all_gone(pids), "the child to end")


def test_a_step_that_is_told_to_end_takes_no_watcher_along(tmp_path: Path) -> None:
    with step(tmp_path, "child = subprocess.Popen(['true'])\nchild.wait()\n" + SPEAK + "time.sleep(300)\n") as parent:
        pids = said(tmp_path)
        signal_group(pids[0], signal.SIGTERM)
        parent.communicate(timeout=60)
    wait_until(lambda: all_gone(pids), "the watcher to end")


def test_nobody_watches_where_it_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.DIE_WITH_PARENT, raising=False)
    before = children_of(os.getpid())
    end_with_parent()
    assert children_of(os.getpid()) == before
