"""The fork server's Unix socket, which only its own user can open."""

import contextlib
import os
import socket
import struct
from pathlib import Path

from include.errors import ConfigurationError

BACKLOG = 128
_CREDENTIALS = "3i"


def listen(path: Path) -> socket.socket:
    """
    Listen on a Unix socket that only this user may use.

    :raises ConfigurationError: if another server listens there, or the folder is open to other users.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = path.parent.stat().st_mode
    if mode & 0o077:
        message = f"{path.parent} may be entered by others (mode {mode & 0o777:o}), and the fork server runs commands."
        raise ConfigurationError(f"{message} Put --socket into a folder of mode 700.")
    with contextlib.suppress(FileNotFoundError):
        _refuse_twin(path)
        path.unlink()
    # Renamed only once it listens: whoever sees the socket can connect.
    early = path.with_suffix(".new")
    early.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # chmod after bind would leave a moment in which others may connect
    try:
        listener.bind(str(early))
    finally:
        os.umask(before)
    listener.listen(BACKLOG)
    early.rename(path)
    return listener


def _refuse_twin(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return
    raise ConfigurationError(f"Another fork server already answers on {path}. Stop it, or name another --socket.")


def user_of(connection: socket.socket) -> int:
    """The user at the other end, as the kernel (Linux) knows it."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
    _, user, _ = struct.unpack(_CREDENTIALS, raw)
    return int(user)
