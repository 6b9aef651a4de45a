"""
Make ``.state/venv`` what the lock files say, then go on in it. Standard library only: nothing is installed yet.

A stamp of the lock files' digest makes the second call instantaneous. A mark lies beside the environment while it is
being changed: whoever finds it at the next start makes the environment anew.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from include.processes import set_parent_death_signal
from local_platform.command_line import DEVELOPMENT, parse
from local_platform.locations import REPOSITORY

RUN_LOCKS = ("requirements.txt", "include/requirements.txt")
DEVELOPMENT_LOCKS = ("requirements-dev.txt",)
INSTALLER_LOCK = "local_platform/uv.txt"
SHOWN_LINES = 12


class BootstrapError(Exception):
    """The environment cannot be made; the text says why and what to do."""


@dataclass(frozen=True)
class Installation:
    """One environment and what it is made from."""

    repository: Path
    folder: Path
    """Holds the environment, the installer, the stamp, the mark and the lock."""

    @property
    def environment(self) -> Path:
        """The virtual environment itself."""
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.environment / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """What was installed: digest of the lock files, by purpose."""
        return self.folder / "venv.json"

    @property
    def unfinished(self) -> Path:
        """Lies here while the environment is being changed."""
        return self.folder / "venv.unfinished"

    def digest(self, locks: Sequence[str]) -> str:
        """Digest of lock files' names and bytes."""
        total = hashlib.sha256()
        for name in locks:
            total.update(name.encode() + b"\0" + (self.repository / name).read_bytes() + b"\0")
        return total.hexdigest()

    def is_ready(self, purpose: str) -> bool:
        """
        Whether the environment is what the lock files say.

        :param purpose: ``run`` or ``development``.
        """
        try:
            stamped = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return False
        wanted = self.digest(locks_of(purpose))
        known = isinstance(stamped, dict) and stamped.get(purpose) == wanted
        return known and not self.unfinished.exists() and self.python.exists()


def locks_of(purpose: str) -> tuple[str, ...]:
    """The lock files of one purpose: what development needs holds all that running needs."""
    return DEVELOPMENT_LOCKS if purpose == "development" else RUN_LOCKS


def ensure(installation: Installation, purpose: str) -> Path:
    """
    Make the environment ready.

    :param purpose: ``run`` or ``development``.
    :return: the environment's interpreter.
    :raises BootstrapError: if it cannot be made.
    """
    if installation.is_ready(purpose):
        return installation.python
    installation.folder.mkdir(parents=True, exist_ok=True)
    with _alone(installation):
        if not installation.is_ready(purpose):
            _install(installation, purpose)
    return installation.python


@contextlib.contextmanager
def _alone(installation: Installation) -> Iterator[None]:
    with (installation.folder / "venv.lock").open("w") as lock:
        # Installers inherit the lock, so that nobody begins anew beside one that outlives this process.
        fcntl.fcntl(lock, fcntl.F_SETFD, 0)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another process that sets up the environment …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(installation: Installation, purpose: str) -> None:
    locks = locks_of(purpose)
    _say(f"setting up {_shown(installation.environment)} from {' and '.join(locks)} (once; some minutes at most) …")
    uv = _installer(installation)
    broken = installation.unfinished.exists() or not _answers(installation.python)
    installation.stamp.unlink(missing_ok=True)
    installation.unfinished.touch()
    if broken:
        shutil.rmtree(installation.environment, ignore_errors=True)
        _call([uv, "venv", "--quiet", "--python", sys.executable, "--no-project", installation.environment])
    _call(
        [
            uv, "pip", "sync", "--python", installation.python, "--require-hashes", "--compile-bytecode",
            *(installation.repository / name for name in locks),
        ],
    )  # fmt: skip
    installation.stamp.write_text(json.dumps(_stamp(installation, purpose)))
    installation.unfinished.unlink()


def _stamp(installation: Installation, purpose: str) -> dict[str, str]:
    purposes = ["run", "development"] if purpose == "development" else ["run"]
    return {name: installation.digest(locks_of(name)) for name in purposes}


def _installer(installation: Installation) -> Path:
    digest = installation.digest([INSTALLER_LOCK])[:12]
    folder = installation.folder / "installer"
    uv, mark = folder / "bin" / "uv", folder / digest
    if mark.exists() and uv.exists():
        return uv
    shutil.rmtree(folder, ignore_errors=True)
    _call([sys.executable, "-m", "venv", folder])
    _call(
        [
            folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
            "--require-hashes", "--only-binary=:all:", "-r", installation.repository / INSTALLER_LOCK,
        ],
    )  # fmt: skip
    mark.touch()
    return uv


def _answers(python: Path) -> bool:
    if not python.exists():
        return False
    probe = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    return subprocess.run([python, "-c", probe], check=False, capture_output=True).returncode == 0


def _call(words: Sequence[str | Path]) -> None:
    environment = clean_environment()
    index = environment.get("PIP_INDEX_URL")
    if index:
        environment.setdefault("UV_DEFAULT_INDEX", index)
    seen = sys.stderr.isatty()  # then the installer draws its own progress, and a person reads its errors there
    done = subprocess.run(
        words,
        check=False,
        env=environment,
        text=True,
        close_fds=False,
        preexec_fn=lambda: set_parent_death_signal(signal.SIGKILL),
        stdout=None if seen else subprocess.PIPE,
        stderr=None if seen else subprocess.STDOUT,
    )
    if done.returncode:
        raise BootstrapError(_advice([str(word) for word in words], done.stdout or ""))


def _advice(words: list[str], output: str) -> str:
    said = "\n".join(f"    {line}" for line in output.strip().splitlines()[-SHOWN_LINES:])
    if "ensurepip" in output:
        what = "install it (on Debian and Ubuntu: apt-get install python3-venv), then call again."
        return f"This Python has no ensurepip, so no virtual environment can be made: {what}\n{said}"
    if "hash" in output.lower() and "mismatch" in output.lower():
        return f"A downloaded package is not the one that was locked: check the index that pip and uv use.\n{said}"
    what = (
        "It needs a package index: check the network, or name a reachable index in UV_DEFAULT_INDEX and PIP_INDEX_URL."
    )
    return f"Could not set up the environment: '{' '.join(words[:4])} …' failed. {what}\n{said}"


def clean_environment() -> dict[str, str]:
    """The environment of this process without what would make the platform's processes slow or import other code."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    }


def main(arguments: list[str]) -> int:
    """
    Set up the environment for a command and become that command; returns only if the first failed.

    Whoever asks for help, or mistypes, is answered at once.
    """
    command, _ = parse(arguments)
    purpose = "development" if command in DEVELOPMENT else "run"
    try:
        python = ensure(Installation(REPOSITORY, REPOSITORY / ".state"), purpose)
    except BootstrapError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return _become(python, arguments)


def _become(python: Path, arguments: list[str]) -> NoReturn:
    os.chdir(REPOSITORY)
    os.execve(python, [str(python), "-m", "local_platform.cli", *arguments], clean_environment())  # noqa: S606


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _shown(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
