"""The proof of a bundle: a fresh process loads it and says of the golden rows what the training process said."""

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
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "OMP_NUM_THREADS")


def prove(bundle: Bundle) -> GoldenProof:
    """
    Replay the golden rows in a process of their own, without the platform's credentials.

    :return: what the process said: how many rows it replayed.
    :raises DataRejectedError: if it refuses the bundle, or its predictions differ; the message says by how much.
    :raises TemporaryError: if it does not end, or ends otherwise.
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
    said = done.stderr.decode(errors="replace")
    if done.returncode == os.EX_DATAERR:
        raise DataRejectedError(said.strip())
    if done.returncode != 0:
        # The end of a traceback says what happened; its beginning does not.
        message = f"The proof of bundle {bundle.digest} ended with code {done.returncode}: {foreign(said[-250:])}"
        raise TemporaryError(message)
    return GoldenProof.model_validate_json(done.stdout)
