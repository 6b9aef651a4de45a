"""The proof of a bundle: a new process loads it and predicts the golden rows as the training process did."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from include.contract.results import GoldenProof
from include.errors import DataRejectedError, TemporaryError, foreign
from include.packaging.files import Bundle, write_bundle

_ROOT = Path(__file__).resolve().parents[3]
_TIMEOUT_SECONDS = 300
# Nothing else is passed on: a model file must not see the credentials of the stores. TMPDIR and HOME for libraries
# that write caches, OMP_NUM_THREADS for the CPU limit.
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "OMP_NUM_THREADS")


def prove(bundle: Bundle) -> GoldenProof:
    """
    Replay the golden rows in a process of their own, without the platform's credentials.

    :return: the output of the process: how many rows it replayed.
    :raises DataRejectedError: if it refuses the bundle, or its predictions differ; the message states by how much.
    :raises TemporaryError: if it does not end in time, or fails in another manner.
    """
    with tempfile.TemporaryDirectory(prefix="proof-") as folder:
        write_bundle(bundle, Path(folder))
        command = [sys.executable, "-m", "include.serving.model.replay", "--bundle", folder, "--digest", bundle.digest]
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            done = subprocess.run(
                command, cwd=_ROOT, env=environment, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            message = f"The proof of bundle {bundle.digest} did not end within {_TIMEOUT_SECONDS} s."
            raise TemporaryError(message) from error
    output = done.stderr.decode(errors="replace")
    if done.returncode == os.EX_DATAERR:
        raise DataRejectedError(output.strip())
    if done.returncode != 0:
        # The error is at the end of a traceback, and foreign() keeps the beginning of its text.
        message = f"The proof of bundle {bundle.digest} ended with code {done.returncode}: {foreign(output[-250:])}"
        raise TemporaryError(message)
    return GoldenProof.model_validate_json(done.stdout)
