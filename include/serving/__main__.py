"""
Serve one bundle: ``python -m include.serving --bundle /model --host 0.0.0.0 --port 8080``.

Serves until SIGTERM, then finishes what it has and exits 0. Exit code 65: the bundle is not what it should be; 78: the
port is taken.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from include.errors import EXIT_DONE, ConfigurationError, PlatformError
from include.processes import set_parent_death_signal

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""One row is predicted by one thread: more of them cost more than they bring, and fight over the CPU."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m include.serving", description=__doc__)
    whole.add_argument("--bundle", required=True, type=Path, help="the bundle's folder")
    whole.add_argument("--digest", help="digest that the bundle must have, sha256:…")
    whole.add_argument("--version", type=int, help="the model's registered version, for the headers")
    whole.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    whole.add_argument("--port", type=int, default=8080, help="port to listen on; 0 for any (default: 8080)")
    whole.add_argument("--settings", default="{}", help="limits, as JSON: request_bytes_at_most, drain_seconds, …")
    whole.add_argument("--public-socket", type=int, help=argparse.SUPPRESS)
    whole.add_argument("--control-socket", type=int, help=argparse.SUPPRESS)
    return whole


def main(arguments: Sequence[str]) -> int:
    """Serve; returns the exit code."""
    given = parser().parse_args(arguments)
    # In a pod the process is number 1 and has no parent to outlive.
    if given.control_socket is not None:
        set_parent_death_signal(signal.SIGTERM)  # elsewhere than on Linux the end of the control socket ends it
    for name in _THREADS:
        os.environ.setdefault(name, "1")
    try:
        _serve(given)
    except PlatformError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return EXIT_DONE


def _serve(given: argparse.Namespace) -> None:
    # Imported only now: numpy reads the number of threads once.
    from pydantic import ValidationError

    from include.serving.processes.worker import WorkerPlan, run_worker
    from include.stores.serving.settings import ServingSettings

    try:
        settings = ServingSettings.model_validate_json(given.settings)
    except ValidationError as error:
        raise ConfigurationError(f"--settings {given.settings} is not what it should be: {error}") from error
    plan = WorkerPlan(
        folder=given.bundle,
        digest=given.digest,
        version=given.version,
        host=given.host,
        port=given.port,
        settings=settings,
        public=given.public_socket,
        control=given.control_socket,
    )
    run_worker(plan)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
