"""Runs in a pod of the step image: measures the size of its files, a step's interpreter and its imports."""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

MIB = 2**20
MOUNTS = frozenset({"/dev", "/proc", "/sys", "/tmp"})  # noqa: S108 (the pod's own)


def file_bytes(folder: str = "/", device: int = -1) -> int:
    """Bytes of the image's files, without mounts."""
    total = 0
    with suppress(PermissionError), os.scandir(folder) as entries:
        for entry in entries:
            state = entry.stat(follow_symlinks=False)
            if device not in {-1, state.st_dev} or entry.path in MOUNTS:
                continue
            inside = entry.is_dir(follow_symlinks=False)
            total += file_bytes(entry.path, state.st_dev) if inside else state.st_size
    return total


def first_line(words: "list[str]") -> "tuple[float, float]":
    """Seconds until a process writes its first line, and until it ends."""
    began = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        if process.stdout is not None:
            process.stdout.readline()
        first = time.monotonic() - began
        process.communicate()
    return first, time.monotonic() - began


def imports(name: str) -> float:
    """Seconds of one import in a fresh interpreter, start of the interpreter included."""
    return first_line([sys.executable, "-c", f"import {name}; print()"])[0]


def since_start() -> float:
    """Seconds since the kernel started this process."""
    # Field 22 of stat(5), counted from boot; the command's name before it may hold spaces and brackets.
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


results = {
    "interpreter": since_start(),
    "first_line": first_line([sys.executable, "-m", "include.steps", *json.loads(os.environ["PROBE_WORDS"])]),
    "imports": {name: imports(name) for name in ("include.steps.__main__", "pandas", "deltalake", "sklearn", "mlflow")},
    "file_mib": file_bytes() / MIB,
}
print(json.dumps(results))
