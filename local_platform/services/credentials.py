"""Passwords and keys of the local services: made at the first start, readable by their owner alone."""

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

USERS = {"admin": "admin", "viewer": "viewer"}
"""Airflow's users and their roles."""
PASSWORD_BYTES = 12
FERNET_BYTES = 32
KEY_BYTES = 64
"""Length of a key for HMAC-SHA512, with which Airflow signs its tokens."""


@dataclass(frozen=True, repr=False)
class Credentials:
    """Secrets that the services and their clients share."""

    passwords_file: Path
    """JSON of user and password, as Airflow's simple auth manager reads it."""
    passwords: dict[str, str]
    keys: dict[str, str]
    """``fernet``, ``jwt`` and ``session``: Airflow's own secrets."""


def provide(folder: Path) -> Credentials:
    """Read the secrets below a folder; make them where there are none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords_file = folder / "passwords.json"
    passwords = kept(passwords_file, {user: password() for user in USERS})
    fernet = base64.urlsafe_b64encode(secrets.token_bytes(FERNET_BYTES)).decode()
    fresh = {"fernet": fernet, "jwt": secrets.token_urlsafe(KEY_BYTES), "session": secrets.token_urlsafe(KEY_BYTES)}
    return Credentials(passwords_file, passwords, kept(folder / "keys.json", fresh))


def password() -> str:
    """A new password, of characters that need no quoting in a URL."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def kept(path: Path, fresh: dict[str, str]) -> dict[str, str]:
    """
    Values from a JSON file; those that it lacks are taken from ``fresh`` and written into it.

    A value in the file is never replaced: a database may have been made with it.
    """
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError):
        known = {}
    known = {name: str(value) for name, value in known.items()} if isinstance(known, dict) else {}
    if fresh.keys() <= known.keys():
        return known
    whole = fresh | known
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    # O_EXCL with the mode: at no moment is there a file that others can open.
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(whole, file)
    partial.replace(path)
    return whole
