"""
Import once, in the scheduler, what every task of the local executor would import again.

The local executor forks its workers from the scheduler, and the workers fork the tasks, so a task inherits what the
scheduler has imported. Without it each task spends 0.3 s of CPU on building the models of specs. It is done only where
all tasks run the code of this folder: one bundle, a local one, whose path is the folder of this file. Each task's
process checks whether one of the files has changed; if so, it forgets them all and imports from the bundle as usual.
"""

import logging
import sys
from importlib import import_module
from pathlib import Path

from airflow.configuration import conf
from airflow.sdk.listener import get_listener_manager

from include.errors import ConfigurationError
from include.spec.load import load_project, project_names

EXECUTOR = "LocalExecutor"
LOCAL_BUNDLE = "LocalDagBundle"
PACKAGES = ("include", "plugins")
MODULES = (
    "airflow.dag_processing.dagbag",
    "include.stores.installation",
    "include.stores.objects.directory",
    "plugins.pipelines.data",
    "plugins.pipelines.projects",
    "plugins.pipelines.scoring",
    "plugins.pipelines.training",
)
OF_PODS = ("boto3", "plugins.operators.pod.operator", "plugins.pipelines.maintenance")
"""Further modules where steps are pods; importing them takes a task one and a half seconds."""
_stamps: dict[Path, tuple[int, int]] = {}
"""Time of change (nanoseconds) and size (bytes) of each file when it was imported."""

log = logging.getLogger(__name__)


def preload(root: Path) -> None:
    """
    Import what tasks need, if all tasks run the code of this folder; otherwise do nothing.

    :param root: the bundle's root.
    """
    if not _is_only_code(root):
        return
    # Stamped before anything is imported: a file that changes while it is read is then seen as changed.
    _stamps.update((path, _stamp(path)) for package in PACKAGES for path in (root / package).rglob("*.py"))
    import_module("plugins.airflow_patches.supervising").see_ends_at_once()
    get_listener_manager()  # Airflow keeps it; a task would search all installed packages for plugins again
    for name in MODULES:
        import_module(name)
    # Not at the top of the file: whatever is imported before the stamps could change unnoticed.
    from include.contract.code_digest import code_digest
    from include.contract.step_names import StepName
    from plugins.operators.step import KUBERNETES, execution_mode

    are_pods = execution_mode() == KUBERNETES
    for name in OF_PODS if are_pods else ():
        import_module(name)
    for project in project_names():
        try:
            load_project(project)  # cached until the file changes
        except ConfigurationError as error:
            log.warning("Not preloaded: %s", error)
        for step in StepName if are_pods else ():
            code_digest(step, project)  # which caches the imports of each file


def drop_if_stale() -> None:
    """Forget all preloaded modules if one of their files has changed; called in each task's process."""
    loaded = [name for name in sys.modules if name.partition(".")[0] in PACKAGES]
    files = {Path(file) for name in loaded if (file := getattr(sys.modules[name], "__file__", None))}
    # All or none: a module that was kept would hold classes of the others that are imported a second time.
    if any(_stamp(file) != _stamps.get(file) for file in files):
        for name in loaded:
            del sys.modules[name]


def _is_only_code(root: Path) -> bool:
    bundles = conf.getjson("dag_processor", "dag_bundle_config_list")
    if not isinstance(bundles, list) or len(bundles) != 1 or EXECUTOR not in conf.get("core", "executor"):
        return False
    bundle = bundles[0]
    path = bundle.get("kwargs", {}).get("path")
    return str(bundle.get("classpath", "")).endswith(LOCAL_BUNDLE) and bool(path) and Path(path).resolve() == root


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return stat.st_mtime_ns, stat.st_size
