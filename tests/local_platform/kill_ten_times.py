"""
Kill ``make run`` with -9 at ten random moments, run it to its end, and look at what is left.

``.state/venv/bin/python tests/local_platform/kill_ten_times.py [SEED [KILLS]]``; takes half an hour. State lies in a
temporary folder. Exit code 1: something was left behind, or the last run did not end well.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from include.contract import settings  # noqa: E402 (the repository is found first)
from include.stores.installation import Stores  # noqa: E402
from local_platform.locations import STATE_VARIABLE  # noqa: E402
from local_platform.services import processes  # noqa: E402
from tests.support.whole_tables import faults_of  # noqa: E402

SEED, KILLS = 7, 10
MOMENTS_SECONDS = (1, 180)
CLEANUP_SECONDS = 45.0
MONTHS = [f"2013-{month:02d}" for month in range(1, 11)]


def main(seed: int = SEED, kills: int = KILLS) -> int:
    """Kill, look, run, look."""
    chance = random.Random(seed)  # noqa: S311 (moments, not secrets)
    root = Path(tempfile.mkdtemp(prefix="killed-")) / "state"
    environment = os.environ | {STATE_VARIABLE: str(root)}
    wrong = 0
    for number in range(1, kills + 1):
        moment = chance.uniform(*MOMENTS_SECONDS)
        call = subprocess.Popen(
            ["make", "run"], cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(moment)
        call.send_signal(signal.SIGKILL)
        call.wait()
        left = _left(root)
        wrong += len(left)
        print(f"kill {number:2} after {moment:5.1f} s: {len(left)} processes left", flush=True)  # noqa: T201
    code = subprocess.call(["make", "run"], cwd=REPOSITORY, env=environment)
    with closing(sqlite3.connect(root / "mlflow" / "mlflow.db")) as connection:
        versions = connection.execute("SELECT count(*) FROM model_versions").fetchone()[0]
    print(f"the last run ended with {code}; {versions} version of the model; state in {root}")  # noqa: T201
    defaults = {name: pattern.format(state=root) for name, pattern in settings.LOCAL_DEFAULTS.items()}
    faults = faults_of(Stores(defaults).tables, MONTHS)
    print("\n".join(faults) or "no partition is doubled or torn")  # noqa: T201
    return 0 if (code, versions, wrong, faults) == (0, 1, 0, []) else 1


def _left(root: Path) -> list[processes.Process]:
    deadline = time.monotonic() + CLEANUP_SECONDS
    mark = f"{STATE_VARIABLE}={root}"
    while (left := processes.strays(mark, [], REPOSITORY)) and time.monotonic() < deadline:
        time.sleep(0.5)
    return left


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
