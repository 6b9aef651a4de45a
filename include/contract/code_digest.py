"""Digest of the code that does the work: the platform's own and one project's, with the pinned libraries."""

import hashlib
from functools import lru_cache
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_NOT_THE_WORK = ("projects", "serving", "__pycache__")


@lru_cache(maxsize=8)
def code_digest(project: str) -> str:
    """
    SHA-256 over every Python file of the steps and of one project, and over the lock of their libraries.

    The serving app is left out: no sealed data depends on it. So are other projects: they do not know one another.
    """
    found = hashlib.sha256()
    for path in sorted(_files(project)):
        found.update(path.relative_to(_ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"sha256:{found.hexdigest()}"


def _files(project: str) -> list[Path]:
    platform = [path for path in _ROOT.rglob("*.py") if path.relative_to(_ROOT).parts[0] not in _NOT_THE_WORK]
    lock = _ROOT / "requirements.txt"
    return [*platform, *(_ROOT / "projects" / project).rglob("*.py"), *([lock] if lock.is_file() else [])]
