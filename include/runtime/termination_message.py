"""The one line that a failing step leaves: in a pod the termination message, which Airflow prints as the reason."""

import contextlib
import os
from pathlib import Path

from include.contract import settings

BYTES_AT_MOST = 4_096
"""Kubernetes keeps no more of a container's termination message."""


def leave_last_words(message: str) -> None:
    """Write the first line where the installation asks for it; a step that cannot write it ends all the same."""
    path = os.environ.get(settings.ERROR_PATH)
    if not path:
        return
    line = next(iter(message.splitlines()), "").encode()[:BYTES_AT_MOST]
    with contextlib.suppress(OSError):
        Path(path).write_bytes(line.decode(errors="ignore").encode())  # no half a character at the cut
