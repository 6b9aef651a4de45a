"""What the services of one local platform and their steps use of the machine, read from ``/proc`` (Linux)."""

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SAMPLE_SECONDS = 3.0
STEP_SAMPLE_SECONDS = 0.1
STEP_TITLE = "step "
"""What the name of a forked step's process begins with."""
HERTZ = os.sysconf("SC_CLK_TCK")


def sessions(state_folder: Path) -> dict[int, str]:
    """Sessions of the services, by the number of their leader."""
    records = [json.loads(path.read_text()) for path in (state_folder / "services").glob("*.json")]
    return {record["service"][0]: record["name"] for record in records}


def processes_of(state_folder: Path) -> list[tuple[Path, list[str]]]:
    """Processes of the services: their sessions, and steps, which lead sessions of their own below the fork server."""
    named = sessions(state_folder)
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) in named or int(fields[1]) in named:
            found.append((place, fields))
    return found


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
    return sum(_memory(place) for place, fields in processes_of(state_folder) if named.get(int(fields[3])) in names)


def _memory(place: Path) -> float:
    """Proportional memory of one process, in MiB; nothing of one that has ended."""
    try:
        lines = (place / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextmanager
def peak_memory(state_folder: Path) -> Iterator[list[float]]:
    """Largest proportional memory of all services and steps together, in MiB, sampled."""
    peak = [0.0]

    def look() -> None:
        peak[0] = max(peak[0], sum(_memory(place) for place, _ in processes_of(state_folder)))

    with _sampled(SAMPLE_SECONDS, look):
        yield peak


@contextmanager
def peaks_of_steps(state_folder: Path) -> Iterator[dict[str, float]]:
    """Largest resident memory of any process of each step, shared libraries included, in MiB, sampled."""
    peaks = dict[str, float]()
    servers = [pid for pid, name in sessions(state_folder).items() if name == "fork-server"]

    def look() -> None:
        for server in servers:
            for child in Path(f"/proc/{server}/task/{server}/children").read_text().split():
                step, peak = _peak(Path("/proc") / child)
                if step:
                    peaks[step] = max(peaks.get(step, 0.0), peak)

    with _sampled(STEP_SAMPLE_SECONDS, look):
        yield peaks


@contextmanager
def _sampled(every_seconds: float, look: Callable[[], None]) -> Iterator[None]:
    """Look again and again, in a thread, for as long as the caller is inside."""
    is_over = threading.Event()

    def sample() -> None:
        while not is_over.wait(every_seconds):
            look()

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield
    finally:
        is_over.set()
        sampler.join()


def _peak(place: Path) -> tuple[str, float]:
    """Which step a process is, and its largest resident memory so far in MiB; no name if it is none, or has ended."""
    try:
        lines = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
    except OSError:
        return "", 0.0
    name, peak = lines["Name"].strip(), lines.get("VmHWM", "0 kB").split()[0]
    return (name.removeprefix(STEP_TITLE), int(peak) / 1024) if name.startswith(STEP_TITLE) else ("", 0.0)
