"""
Import once, in the scheduler, what every task of the local executor imports anew otherwise.

The local executor forks its workers from the scheduler, and the workers fork the tasks; what the scheduler has
imported, a task need not. Without it each task spends 0.3 s of CPU on building the models of specs. Only where all
tasks run this very folder's code: one bundle, a local one, at the folder where this file lies. A task's process looks
whether a file changed since, and then imports everything from the bundle again, as it would have without this.
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
"""Further modules where steps are pods: without them each task would spend a second and a half on them."""
_stamps: dict[Path, tuple[int, int]] = {}

log = logging.getLogger(__name__)


def preload(root: Path) -> None:
    """Import what tasks need, if all tasks run the code of this folder."""
    if not _is_only_code(root):
        return
    # Stamped before anything is imported: a file that changes while it is read is then seen as changed.
    _stamps.update((path, _stamp(path)) for package in PACKAGES for path in (root / package).rglob("*.py"))
    import_module("plugins.airflow_patches.supervising").see_ends_at_once()
    get_listener_manager()  # kept: a task otherwise looks for plugins again
    for name in MODULES:
        import_module(name)
    from include.contract.code_digest import code_digest  # these not before the stamps
    from include.contract.step_names import StepName
    from plugins.operators.step import KUBERNETES, execution_mode

    are_pods = execution_mode() == KUBERNETES
    for name in OF_PODS if are_pods else ():
        import_module(name)
    for project in project_names():
        try:
            load_project(project)  # kept as long as the file is the same
        except ConfigurationError as error:
            log.warning("Not preloaded: %s", error)
        for step in StepName if are_pods else ():
            code_digest(step, project)  # what was read of each file is kept, too


def drop_if_stale() -> None:
    """Forget what was preloaded if one of its files is no longer the same."""
    loaded = [name for name in sys.modules if name.partition(".")[0] in PACKAGES]
    files = {Path(file) for name in loaded if (file := getattr(sys.modules[name], "__file__", None))}
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
