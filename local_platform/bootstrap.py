"""
Install what the lock files list into ``.state/venv``, then run in it. Standard library only: nothing is installed yet.

A stamp with the lock files' digest tells the next call that nothing has to be installed. A mark file lies beside the
environment while it is being changed; a call that sees it there was preceded by an interrupted one, and starts over.
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
EXCERPT_LINES = 12


class BootstrapError(Exception):
    """The environment cannot be set up; the message states the cause and the cure."""


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
        Whether the environment holds what the lock files of a purpose list.

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
    with _locked(installation):
        if not installation.is_ready(purpose):
            _install(installation, purpose)
    return installation.python


@contextlib.contextmanager
def _locked(installation: Installation) -> Iterator[None]:
    with (installation.folder / "venv.lock").open("w") as lock:
        # Python closes descriptors on exec. Installers must inherit this one: while one outlives this process, the lock
        # stays taken, and the next call does not install beside it.
        fcntl.fcntl(lock, fcntl.F_SETFD, 0)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _report("waiting for another process that sets up the environment …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(installation: Installation, purpose: str) -> None:
    locks = locks_of(purpose)
    _report(
        f"setting up {_relative(installation.environment)} from {' and '.join(locks)} (once; some minutes at most) …"
    )
    uv = _installer(installation)
    broken = installation.unfinished.exists() or not _works(installation.python)
    # The mark comes before the first change and goes after the stamp: a kill in between leaves it.
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


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    probe = "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"
    return subprocess.run([python, "-c", probe], check=False, capture_output=True).returncode == 0


def _call(words: Sequence[str | Path]) -> None:
    environment = clean_environment()
    index = environment.get("PIP_INDEX_URL")
    if index:
        # uv does not read pip's variable, which is what most people have set.
        environment.setdefault("UV_DEFAULT_INDEX", index)
    # On a terminal the installer draws its own progress, and a person reads its errors there.
    is_terminal = sys.stderr.isatty()
    done = subprocess.run(
        words,
        check=False,
        env=environment,
        text=True,
        close_fds=False,
        # Without it a killed 'make' leaves an installer that goes on writing into the environment.
        preexec_fn=lambda: set_parent_death_signal(signal.SIGKILL),
        stdout=None if is_terminal else subprocess.PIPE,
        stderr=None if is_terminal else subprocess.STDOUT,
    )
    if done.returncode:
        raise BootstrapError(_advice([str(word) for word in words], done.stdout or ""))


def _advice(words: list[str], output: str) -> str:
    excerpt = "\n".join(f"    {line}" for line in output.strip().splitlines()[-EXCERPT_LINES:])
    # Debian and Ubuntu ship python3 without it, in a package of its own.
    if "ensurepip" in output:
        what = "install it (on Debian and Ubuntu: apt-get install python3-venv), then call again."
        return f"This Python has no ensurepip, so no virtual environment can be made: {what}\n{excerpt}"
    if "hash" in output.lower() and "mismatch" in output.lower():
        return f"A downloaded package is not the one that was locked: check the index that pip and uv use.\n{excerpt}"
    what = (
        "It needs a package index: check the network, or name a reachable index in UV_DEFAULT_INDEX and PIP_INDEX_URL."
    )
    return f"Could not set up the environment: '{' '.join(words[:4])} …' failed. {what}\n{excerpt}"


def clean_environment() -> dict[str, str]:
    """The environment of this process without what would make the platform's processes slow or import other code."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    }


def main(arguments: list[str]) -> int:
    """
    Set up the environment for a command, then replace this process by it; returns only if the set-up failed.

    Help and mistakes in the command line are reported before anything is installed.
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


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _relative(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
