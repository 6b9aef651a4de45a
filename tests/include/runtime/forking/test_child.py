import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
SCRIPT = """
import json, os, sys
from include.contract.fork_protocol import ForkRequest
from include.runtime.forking.child import become_step

class Pools:
    def limit(self, *, limits):
        sys.stderr.write(f"capped to {limits}\\n")
        return limits

words, environment, server = json.loads(sys.argv[1])
reading, writing = os.pipe()
request = ForkRequest(arguments=tuple(words), environment=environment, folder=os.getcwd(), grace_seconds=1.0)
parent = os.getpid()
pid = os.fork()
if pid == 0:
    become_step(request, (writing, writing), server_pid=server or parent, inherited={reading}, threads=Pools())
os.close(writing)
text = os.fdopen(reading).read()
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text]))
"""


def fork(words: list[str], environment: dict[str, str], server_pid: int = 0) -> tuple[int, str]:
    given = json.dumps([words, environment, server_pid])
    command = [sys.executable, "-c", SCRIPT, given]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    code, text = json.loads(done.stdout.splitlines()[-1])
    return code, text


@pytest.mark.parametrize(("given", "capped"), [("1", "capped to 1"), ("nonsense", f"capped to {os.cpu_count()}")])
def test_native_threads_are_capped(given: str, capped: str) -> None:
    _, text = fork(["ingest", "--help"], {"ML_THREADS": given})
    assert capped in text


def test_the_command_line_runs_as_in_a_process_of_its_own() -> None:
    code, text = fork(["ingest", "--help"], {})
    assert code == 0
    assert "usage: python -m include.steps ingest" in text
    words = ["ingest", "--project", "flight", "--partition", "2013-03", "--run", "r", "--source", "weather"]
    code, text = fork(words, {})
    assert code == 78
    assert "There is no project 'flight'" in text


def test_a_child_whose_server_died_at_birth_ends_at_once() -> None:
    assert fork(["ingest", "--help"], {}, server_pid=1) == (70, "")
