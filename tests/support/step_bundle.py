"""A bundle of the platform's code whose steps behave as a test chooses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.step_results import least_document

ROOT = Path(__file__).resolve().parents[2]
BEHAVIOUR = "ML_TEST_BEHAVIOUR"
WORDS = ("ingest", "validate", "profile", "features", "train", "evaluate", "package", "deploy", "score")
STEP = """
import atexit, json, os, signal, subprocess, sys, time
from pathlib import Path

from pydantic import TypeAdapter

from include import errors
from include.contract.results import Results
from include.runtime.context import Plan, Work


def plan(context):
    seen = {"threads": os.environ.get("OMP_NUM_THREADS"), "environment": sorted(os.environ), "folder": os.getcwd()}
    return Plan(inputs=(), parameters={"behaviour": behaviour(context), **seen}, work=lambda _: work(context))


def behaviour(context):
    file = Path(os.environ.get("ML_TEST_FOLDER", "/nowhere")) / f"{context.command.step.value}.behaviour"
    return file.read_text() if file.is_file() else os.environ.get("ML_TEST_BEHAVIOUR", "done")


def work(context):
    chosen = behaviour(context)
    if chosen == "skip":
        raise errors.NothingToDoError("The gates were not passed, so there is nothing to deploy.")
    if chosen == "rejected":
        raise errors.DataRejectedError("Column dep_time is missing.")
    if chosen == "configuration":
        raise errors.ConfigurationError("There is no such function.")
    if chosen == "temporary":
        raise errors.TemporaryError("The store does not answer.")
    if chosen == "bug":
        raise KeyError("a bug")
    if chosen == "no receipt":
        os._exit(0)
    if chosen == "killed before":
        os.kill(os.getpid(), signal.SIGKILL)
    if chosen == "killed after":
        atexit.register(os.kill, os.getpid(), signal.SIGKILL)
    if chosen == "lines":
        for number in range(3):
            print(f"out {number}", flush=True)
            print(f"err {number}", file=sys.stderr, flush=True)
            time.sleep(0.05)
        context.events.warn("half of the rows are new", row_count=3)
    if chosen == "leaves a child":
        context.events.emit("child", pid=subprocess.Popen(["sleep", "300"]).pid)
    if chosen == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", STUBBORN])
        file = Path(os.environ["ML_TEST_FOLDER"]) / f"{context.command.step.value}.pids"
        file.with_suffix(".partial").write_text(json.dumps([os.getpid(), child.pid]))
        file.with_suffix(".partial").rename(file)
        context.events.emit("hanging")
        time.sleep(300)
    return Work(outputs=(), row_counts={"rows": 3}, results=TypeAdapter(Results).validate_json(RESULTS))


RESULTS = {results!r}
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"
"""


@dataclass(frozen=True)
class Bundle:
    """A copy of the platform's code with steps for tests."""

    root: Path
    """The bundle's root."""
    folder: Path
    """Where steps find their behaviour and leave their process numbers."""

    def behave(self, step: str, behaviour: str) -> None:
        """Choose the behaviour of one step; it takes precedence over the environment."""
        (self.folder / f"{step}.behaviour").write_text(behaviour)

    def pids(self, step: str) -> list[int]:
        """Processes of a step that hangs, once it does: the step's own and its child's."""
        file = self.folder / f"{step}.pids"
        wait_until(file.exists, f"{step} to hang")
        return [int(word) for word in file.read_text().strip("[]").split(",")]


def make_bundle(folder: Path) -> Bundle:
    """Copy the platform's code and put the steps for tests in."""
    root = folder / "bundle"
    for package in ("include", "plugins", "dags"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".airflowignore", root)
    for word in WORDS:
        (root / "include" / "steps" / word / "step.py").write_text(
            STEP.replace("{results!r}", repr(json.dumps(least_document(word))))
        )
    control = folder / "control"
    control.mkdir()
    return Bundle(root, control)


def wait_until(holds: Callable[[], bool], what: str, timeout_seconds: float = 60.0) -> None:
    """
    Wait for something that another process does.

    :raises TimeoutError: if it does not happen in time.
    """
    deadline = time.monotonic() + timeout_seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_seconds} s for {what}")
        time.sleep(0.02)


def step_environment(bundle: Bundle, objects: Path, **more: str) -> dict[str, str]:
    """Environment of a process that runs a step of the bundle by itself."""
    given = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "ML_TEST_FOLDER": str(bundle.folder)}
    return given | {"ML_OBJECTS_URI": objects.as_uri()} | more


@contextmanager
def fork_server(bundle: Bundle, socket: Path, *, is_warm: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A fork server of the bundle's code; not warm, it imports no data library, which none of these steps needs."""
    words = ["-m", "include.runtime.forking.server", "--socket", str(socket)]
    if not is_warm:
        code = (
            "import sys, include.runtime.forking.warmup as warmup; warmup.LIBRARIES = ('json',); "
            "import include.runtime.forking.server as server; sys.exit(server.main(sys.argv[1:]))"
        )
        words = ["-c", code, "--socket", str(socket)]
    # The bundle's root as working folder: Python then imports its code, not the checkout's.
    process = subprocess.Popen([sys.executable, *words], cwd=bundle.root, stderr=subprocess.PIPE)
    try:
        wait_until(socket.exists, "the fork server's socket")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()
            if process.stderr:
                process.stderr.close()
