import json
import os
import subprocess
import sys

import pytest

HEARTBEAT_SECONDS = 2
SCRIPT = """
import os, socket, sys, time, uuid
import psutil, structlog
from airflow.sdk.execution_time.supervisor import ActivitySubprocess, PsutilTracker
from plugins.airflow_patches.supervising import see_ends_at_once

if sys.argv[1] == "yes":
    see_ends_at_once()
    see_ends_at_once()  # a second time is no worse
child = os.fork()
if not child:
    time.sleep(0.3)  # the sockets are closed, the process is not yet over
    os._exit(7)
watched = ActivitySubprocess(
    id=uuid.uuid4(), pid=child, stdin=socket.socketpair()[0], process=PsutilTracker(psutil.Process(child)),
    client=None, process_log=structlog.get_logger(),
)
watched._last_successful_heartbeat = watched._last_heartbeat_attempt = time.monotonic()
began = time.monotonic()
watched._monitor_subprocess()
print(f"[{watched._exit_code}, {time.monotonic() - began}]")
"""


@pytest.mark.parametrize(("prompt", "least", "most"), [("yes", 0.25, 1.5), ("no", HEARTBEAT_SECONDS - 0.5, 60)])
def test_the_end_of_a_process_is_seen_though_its_sockets_closed_first(prompt: str, least: float, most: float) -> None:
    environment = os.environ | {"AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": str(HEARTBEAT_SECONDS)}
    words = [sys.executable, "-c", SCRIPT, prompt]
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    code, seconds = json.loads(done.stdout.splitlines()[-1])
    assert code == 7
    # Without it Airflow sleeps for a whole heartbeat interval. Once Airflow does not, the patch can go.
    assert least <= seconds <= most
