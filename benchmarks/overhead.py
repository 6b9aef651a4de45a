"""
Overhead around a step, in parts: ``python benchmarks/overhead.py``.

It measures parsing of the DAG files beyond ``import airflow.sdk``; a forked process against an ordinary one, from the
request to the first line of output and to the end; and the fork server's memory. The year job measures the sum.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

TIMES = 10
READY_SECONDS = 120
WORDS = ("ingest", "--help")
PARSE = """
import json, sys, time
import airflow.sdk
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, str(root))
from airflow.dag_processing.dagbag import BundleDagBag
before, wall, cpu = len(sys.modules), time.perf_counter(), time.process_time()
bag = BundleDagBag(dag_folder=str(root), bundle_path=root, bundle_name="b")
took = [time.perf_counter() - wall, time.process_time() - cpu, len(sys.modules) - before, len(bag.dags)]
print(json.dumps(took))
"""


class Discarded:
    """Discards output, and keeps the time of the first byte."""

    def __init__(self) -> None:
        self.first_at = 0.0

    def take(self, data: bytes) -> None:
        """Keep the time of the first call with data."""
        self.first_at = self.first_at or (time.perf_counter() if data else 0.0)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""


def parsing() -> None:
    """DAG files of the whole bundle, in a fresh process."""
    with tempfile.TemporaryDirectory() as home:
        # A fresh home: Airflow writes its configuration into it, and a person's own must not be read.
        environment = os.environ | {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        # In a fresh process: modules that are imported already cost nothing.
        words = [sys.executable, "-W", "ignore", "-c", PARSE, str(ROOT)]
        done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    wall, cpu, modules, dags = json.loads(done.stdout.splitlines()[-1])
    print(f"parse of {dags} DAGs beyond airflow.sdk: {wall:.2f} s, {cpu:.2f} s CPU, {modules} modules more")


def median(start: Callable[[], object], label: str) -> None:
    """Print median seconds from the request to the first line and to the end."""
    from plugins.operators.local.process import StepProcess, follow

    firsts, ends = [], []
    for _ in range(TIMES):
        output, began = Discarded(), time.perf_counter()
        process: StepProcess = start()  # type: ignore[assignment]
        follow(process, output)
        process.close()
        firsts.append(output.first_at - began)
        ends.append(time.perf_counter() - began)
    print(f"{label}: first line after {statistics.median(firsts):.3f} s, end after {statistics.median(ends):.3f} s")


def processes() -> None:
    """Compare a forked process with an ordinary one, which imports all that the command line needs."""
    from include.contract.fork_protocol import ForkRequest
    from plugins.hooks.environment import step_environment
    from plugins.operators.local.forked_process import NotForkedError, fork_step
    from plugins.operators.local.process import OrdinaryProcess

    environment = step_environment(threads=1)
    request = ForkRequest(arguments=WORDS, environment=environment, folder=str(ROOT), grace_seconds=1.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fork.sock"
        words = [sys.executable, "-m", "include.runtime.forking.server", "--socket", str(path)]
        began = time.perf_counter()
        server = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            # The first fork waits for the server's imports, some seconds, and is not measured.
            while True:
                try:
                    fork_step(str(path), request).close()
                    break
                except NotForkedError:
                    if time.perf_counter() - began > READY_SECONDS:
                        raise
                    time.sleep(0.2)
            print(f"fork server: ready after {time.perf_counter() - began:.1f} s, {memory(server.pid):.0f} MiB")
            median(lambda: fork_step(str(path), request), "forked process")
        finally:
            server.terminate()
            server.wait()
    median(lambda: OrdinaryProcess(WORDS, environment, ROOT, 1.0), "ordinary process, before any data library")


def memory(pid: int) -> float:
    """Proportional memory of a process, in MiB."""
    return float(psutil.Process(pid).memory_full_info().pss) / 2**20


if __name__ == "__main__":
    parsing()
    processes()
