"""CPU and memory of the services of one local platform and of their steps, read from ``/proc`` (Linux)."""

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SAMPLE_SECONDS = 3.0
STEP_SAMPLE_SECONDS = 0.1
STEP_TITLE = "step "
"""Prefix of the name of a forked step's process."""
HERTZ = os.sysconf("SC_CLK_TCK")


def sessions(state_folder: Path) -> dict[int, str]:
    """Names of the services by the process id of their session's leader."""
    records = [json.loads(path.read_text()) for path in (state_folder / "services").glob("*.json")]
    return {record["service"][0]: record["name"] for record in records}


def processes_of(state_folder: Path) -> list[tuple[Path, list[str]]]:
    """Processes of the services: their sessions, and steps, which lead sessions of their own below the fork server."""
    named = sessions(state_folder)
    # Fields of stat(5) after the command's name: 1 is the parent, 3 the session, 11 to 14 user and system time of the
    # process and of its children that have ended.
    processes = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) in named or int(fields[1]) in named:
            processes.append((folder, fields))
    return processes


def cpu_by_service(state_folder: Path) -> dict[str, float]:
    """Seconds of CPU by service, ended children included; steps that run count for the server that forked them."""
    named, used = sessions(state_folder), dict[str, float]()
    for _, fields in processes_of(state_folder):
        name = named.get(int(fields[3])) or named[int(fields[1])]
        used[name] = used.get(name, 0.0) + sum(map(int, fields[11:15])) / HERTZ
    return used


def memory_of(state_folder: Path, names: Sequence[str]) -> float:
    """Proportional memory of some services and all that they started, in MiB."""
    named = sessions(state_folder)
    return sum(_memory(folder) for folder, fields in processes_of(state_folder) if named.get(int(fields[3])) in names)


def _memory(folder: Path) -> float:
    """Proportional memory of one process, in MiB; nothing of one that has ended."""
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextmanager
def peak_memory(state_folder: Path) -> Iterator[list[float]]:
    """Largest proportional memory of all services and steps together, in MiB, sampled."""
    peak = [0.0]

    def sample_once() -> None:
        peak[0] = max(peak[0], sum(_memory(folder) for folder, _ in processes_of(state_folder)))

    with _sampled(SAMPLE_SECONDS, sample_once):
        yield peak


@contextmanager
def peaks_of_steps(state_folder: Path) -> Iterator[dict[str, float]]:
    """Largest resident memory of any process of each step, shared libraries included, in MiB, sampled."""
    peaks = dict[str, float]()
    servers = [pid for pid, name in sessions(state_folder).items() if name == "fork-server"]

    def sample_once() -> None:
        for server in servers:
            for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
                step, peak = _peak(Path("/proc") / child)
                if step:
                    peaks[step] = max(peaks.get(step, 0.0), peak)

    with _sampled(STEP_SAMPLE_SECONDS, sample_once):
        yield peaks


@contextmanager
def _sampled(every_seconds: float, sample_once: Callable[[], None]) -> Iterator[None]:
    """Call a function in a thread at intervals until the block ends."""
    is_over = threading.Event()

    def sample() -> None:
        while not is_over.wait(every_seconds):
            sample_once()

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield
    finally:
        is_over.set()
        sampler.join()


def _peak(folder: Path) -> tuple[str, float]:
    """Name of a step's process, and its largest resident memory so far in MiB; no name if it is none, or ended."""
    try:
        lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    except OSError:
        return "", 0.0
    name, peak = lines["Name"].strip(), lines.get("VmHWM", "0 kB").split()[0]
    return (name.removeprefix(STEP_TITLE), int(peak) / 1024) if name.startswith(STEP_TITLE) else ("", 0.0)
