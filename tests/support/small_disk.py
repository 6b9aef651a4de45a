"""
Runs a piece of Python where the disk is full: on a small file system of its own where this user may mount one,
and everywhere with the kernel's limit on the size of a file.
"""

import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_LIMIT = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"


@lru_cache(maxsize=1)
def methods() -> list[str]:
    """``limit``, and ``disk`` where a file system can be mounted in a namespace of its own."""
    if shutil.which("unshare") is None:
        return ["limit"]
    done = subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True, timeout=30)
    return ["limit", "disk"] if done.returncode == 0 else ["limit"]


def run(method: str, program: str, folder: Path, *, size_bytes: int) -> str:
    """
    Run a program whose files must fit into so many bytes; ``FOLDER`` in it is the small folder.

    :return: what it printed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    head = f"from pathlib import Path\nFOLDER = Path({str(folder)!r})\n"
    if method == "limit":
        command = [sys.executable, "-c", head + _LIMIT.format(size=size_bytes) + program]
    else:
        mount = f"mount -t tmpfs -o size={size_bytes} tmpfs '{folder}' && exec \"$@\""
        command = ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, "-c", head + program]
    done = subprocess.run(command, cwd=_ROOT, check=False, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    return done.stdout
