"""What the fork server imports before it forks, and whether the files it imported are still what they were."""

import contextlib
import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

import psutil

from include.contract.code_digest import code_digest
from include.errors import ConfigurationError, foreign
from include.runtime.catalogue import STEPS
from include.runtime.threads import WAITING
from include.spec.load import load_project, project_names

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.txt"
LIBRARIES = (
    "boto3",
    "deltalake",
    "great_expectations",
    "great_expectations.expectations",
    "matplotlib.figure",
    "mlflow",
    "mlflow.data.pandas_dataset",
    "mlflow.models",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.tracking",
    "numpy",
    "pandas",
    "pyarrow",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.calibration",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.feature_selection",
    "sklearn.impute",
    "sklearn.inspection",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "skops.io",
    "skrub",
    "tenacity",
    "threadpoolctl",
)
"""What steps import inside their functions; importing does not touch data."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

Stamp = tuple[int, int]
"""Modification time in nanoseconds, and size in bytes."""


class ThreadPools(Protocol):
    """Native thread pools of this process."""

    def limit(self, *, limits: int | None) -> object:
        """Cap them, for as long as what is returned is kept."""


class ImportedCode:
    """The platform's files as they were when they were imported."""

    def __init__(self) -> None:
        # Stamped before anything is imported: a file that changes while it is read is then seen as changed.
        self._stamps = {path: _stamp(path) for path in [*ROOT.rglob("*.py"), LOCK]}

    def changed(self) -> list[str]:
        """Files that were imported and are no longer the same, or are gone; relative to the bundle's root."""
        watched = [LOCK, *_imported_files()]
        return sorted(str(path.relative_to(ROOT.parent)) for path in watched if _stamp(path) != self._stamps.get(path))


def warm_up() -> list[str]:
    """
    Import the data libraries and all steps, without a second thread, then keep the memory shared with children.

    :return: modules that could not be imported, each with its error; a step that needs one fails with it, too.
    """
    # A BLAS that starts its threads when it is loaded would not have them in a child.
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    os.environ.setdefault(*WAITING)
    os.environ.setdefault("MPLBACKEND", "Agg")
    failures = []
    for name in [*LIBRARIES, *(f"include.steps.{step.value}.step" for step in STEPS)]:
        try:
            import_module(name)
        except Exception as error:  # noqa: BLE001 (a broken step must not take the others' server down)
            failures.append(f"{name}: {type(error).__name__}: {foreign(error)}")
    for project in project_names():
        with contextlib.suppress(ConfigurationError):  # a step of that project reports it
            load_project(project)  # cached as long as the file is the same
        for step in STEPS:
            code_digest(step, project)  # what was read of each file is kept, too
    # The collector would write into the header of every object, and so copy pages that children share with the server.
    gc.collect()
    gc.freeze()
    return failures


def native_thread_pools() -> ThreadPools:
    """The OpenMP and BLAS pools that the imported libraries brought along; a child caps them."""
    return cast("ThreadPools", import_module("threadpoolctl").ThreadpoolController())


def thread_count() -> int:
    """Threads of this process, native ones included."""
    return int(psutil.Process().num_threads())


def _stamp(path: Path) -> Stamp | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _imported_files() -> list[Path]:
    root = f"{ROOT}{os.sep}"
    names = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return [Path(name) for name in names if name and name.startswith(root)]
