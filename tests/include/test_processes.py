import ctypes
import signal
import subprocess
import sys

import pytest

from include.processes import end_group, group_exists, set_parent_death_signal, set_process_name, signal_group

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(300)"
OBEDIENT = "import time; print('up', flush=True); time.sleep(300)"


def test_a_group_that_is_gone_takes_no_signal() -> None:
    process = subprocess.Popen(["true"], start_new_session=True)
    process.wait()
    assert not signal_group(process.pid, signal.SIGTERM)
    assert not group_exists(process.pid)


@pytest.mark.parametrize(("code", "number"), [(OBEDIENT, signal.SIGTERM), (DEAF, signal.SIGKILL)])
def test_a_group_is_terminated_and_then_killed(code: str, number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout
        process.stdout.readline()
        assert group_exists(process.pid)
        end_group(process.pid, grace_seconds=0.5)
        assert process.wait(10) == -number


@pytest.mark.skipif(sys.platform != "linux", reason="a request to the kernel of Linux")
def test_a_process_ends_with_its_parent() -> None:
    code = (
        "import os, signal, sys, time\n"
        "from include.processes import become_subreaper, set_parent_death_signal\n"
        "become_subreaper()\n"
        "middle = os.fork()\n"
        "if middle == 0:\n"
        "    if os.fork() == 0:\n"
        "        set_parent_death_signal(signal.SIGTERM)\n"
        "        print('up', flush=True)\n"
        "        time.sleep(300)\n"
        "    time.sleep(300)\n"
        "sys.stdin.readline()\n"
        "os.kill(middle, signal.SIGKILL)\n"
        "codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2)]\n"
        "print(codes, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.stdin.write("\n")
        process.stdin.flush()
        # The orphan became a child of the subreaper, which learns how it ended.
        assert process.stdout.readline() == "[-9, -15]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="a request to the kernel of Linux")
def test_a_process_shows_the_beginning_of_its_name() -> None:
    code = (
        "from include.processes import set_process_name; set_process_name('step validate by hand'); "
        "print(open('/proc/self/comm').read(), end='')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "step validate b\n"


def test_elsewhere_the_kernel_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delattr(ctypes, "CDLL")
    set_parent_death_signal(signal.SIGKILL)
    set_process_name("not shown")
