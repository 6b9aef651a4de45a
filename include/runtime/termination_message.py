"""The one line that a failing step leaves: in a pod the termination message, which Airflow prints as the reason."""

import contextlib
import os
from pathlib import Path

from include.contract import settings

BYTES_AT_MOST = 4_096
"""Kubernetes keeps no more of a container's termination message."""


def write_termination_message(message: str) -> None:
    """Write the first line to the file in ``ML_ERROR_PATH``, if it is set; failing to write it is no error."""
    path = os.environ.get(settings.ERROR_PATH)
    if not path:
        return
    line = next(iter(message.splitlines()), "").encode()[:BYTES_AT_MOST]
    with contextlib.suppress(OSError):
        Path(path).write_bytes(line.decode(errors="ignore").encode())  # no half a character at the cut
