import os
import subprocess
import sys
from pathlib import Path

from local_platform.services import processes
from local_platform.services.processes import Process

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_process_is_distinguished_from_a_later_one_with_its_id() -> None:
    own = Process.of(os.getpid())
    assert own
    assert own.is_alive
    assert not Process(os.getpid(), own.started + 1).is_alive


def test_a_number_that_nobody_has_names_no_process() -> None:
    assert Process.of(2**22 + 1) is None


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen(SLEEP)
    process = Process.of(child.pid)
    assert process
    child.kill()
    assert processes.wait_until_gone([process], 10)
    child.wait()


def test_descendants_are_listed_however_deep() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        pids: list[int] = []
        while len(pids) < 2:
            pids = [row.pid for row in processes.descendants(os.getpid())]
        assert child.pid in pids
        child.communicate(b"\n")


def test_end_kills_what_does_not_listen() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        process = Process.of(child.pid)
        assert process
        processes.end([process], grace_seconds=0.3)
        assert not process.is_alive


def test_strays_are_known_by_the_mark_in_their_environment(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP, env={"MARK": str(tmp_path)}, start_new_session=True) as child:
        left = processes.strays(f"MARK={tmp_path}", [], tmp_path)
        assert [process.pid for process in left] == [child.pid]
        assert processes.strays("MARK=other", [], tmp_path) == []
        processes.end(left, grace_seconds=5)


def test_strays_without_a_mark_are_known_by_session_and_folder(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP, env={}, cwd=tmp_path, start_new_session=True) as child:
        assert [process.pid for process in processes.strays("MARK=x", [child.pid], tmp_path)] == [child.pid]
        assert processes.strays("MARK=x", [child.pid], tmp_path / "elsewhere") == []
        child.kill()
