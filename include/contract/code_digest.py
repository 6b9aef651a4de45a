"""
Digest of the code that does a step's work: what the step can reach of the platform, the project and the libraries.

Files are determined by reading imports, so Airflow's process and the step's own give the same digest without importing
the code. What is used in another manner is in tables: the stores and the project's function that a step uses in
:mod:`include.contract.step_names`, libraries that others load in :mod:`include.contract.code.locked_libraries`.
"""

import hashlib
from pathlib import Path

from include.contract.code.closure import Closure
from include.contract.code.locked_libraries import read_lock
from include.contract.step_names import StepName

_ROOT = Path(__file__).resolve().parents[2]


def code_digest(step: StepName, project: str) -> str:
    """
    SHA-256 over everything that one step of one project can reach.

    That is: the step's folder, templates included; what runs a step; the module of the project whose function the step
    calls; all that these import, at any depth and in any function, but for type checking; and the pinned versions of
    the libraries that they import, with all that those need. A library that the lock file does not name makes the
    whole lock file count.

    What was read of a file is kept until the file's time or size changes.
    """
    reached = Closure(_ROOT, step, project)
    digest = hashlib.sha256()
    for path in sorted(reached.files):
        digest.update(f"{path}\0{reached.files[path]}\0".encode())
    for pin in read_lock(_ROOT / "include" / "requirements.txt").pins(reached.libraries):
        digest.update(f"{pin}\0".encode())
    return f"sha256:{digest.hexdigest()}"
