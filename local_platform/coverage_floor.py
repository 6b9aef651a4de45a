"""Test coverage: measured where ``COVERAGE=1`` is set, summed over calls of pytest, compared with a floor."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local_platform.locations import REPOSITORY

VARIABLE = "COVERAGE"
DATA = "coverage"
"""Folder below ``.state`` in which calls of pytest, and the processes that they start, add up their data."""
PACKAGES = ("include", "plugins")


def options(environment: Mapping[str, str], repository: Path = REPOSITORY) -> list[str]:
    """
    Options of pytest that measure coverage; empty unless ``COVERAGE=1`` is set.

    The floor is for all calls together, so no single call checks it. Data of earlier calls stays:
    ``rm -r .state/coverage`` removes it.
    """
    if environment.get(VARIABLE) != "1":
        return []
    _folder(repository).mkdir(parents=True, exist_ok=True)
    return [*(f"--cov={name}" for name in PACKAGES), "--cov-append", "--cov-report=", "--cov-fail-under=0"]


def report(repository: Path = REPOSITORY) -> int:
    """
    Print the modules with the least coverage, and compare the whole with the floor.

    :return: exit code: 0 if the floor is reached, 2 if it is not, 1 if nothing was measured.
    """
    tool = [sys.executable, "-m", "coverage"]
    kept = {**os.environ}
    left = [str(path) for path in _folder(repository).glob("data.*")]
    # Each process writes a file of its own, and pytest combines them when it ends: these belong to later ones.
    if left:
        subprocess.run([*tool, "combine", "--append", "--quiet", *left], cwd=repository, check=False, env=kept)
    return subprocess.run([*tool, "report"], cwd=repository, check=False, env=kept).returncode


def _folder(repository: Path) -> Path:
    return repository / ".state" / DATA
