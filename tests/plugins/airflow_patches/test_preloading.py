import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.step_bundle import make_bundle

SCRIPT = """
import json, sys
from pathlib import Path
root = Path(sys.argv[1]); sys.path.insert(0, str(root))
from plugins.airflow_patches import preloading
preloading.preload(root)
before = "plugins.pipelines.data" in sys.modules
if sys.argv[2] == "edit":
    file = root / "plugins" / "pipelines" / "data.py"
    file.write_text(file.read_text() + "\\n")
preloading.drop_if_stale()
print(json.dumps([before, "plugins.pipelines.data" in sys.modules, "pandas" in sys.modules, "numpy" in sys.modules]))
print(json.dumps("plugins.operators.pod.operator" in sys.modules), file=sys.stderr)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_bundle(tmp_path).root


def preloads_pods(root: Path) -> bool:
    done = run(root, "leave", root, "LocalExecutor")
    is_loaded: bool = json.loads(done.stderr.splitlines()[-1])
    return is_loaded


def preloaded(root: Path, what: str, bundle: Path | None = None, executor: str = "LocalExecutor") -> list[bool]:
    are_loaded: list[bool] = json.loads(run(root, what, bundle or root, executor).stdout.splitlines()[-1])
    return are_loaded


def run(root: Path, what: str, bundle: Path, executor: str) -> subprocess.CompletedProcess[str]:
    path = {"path": str(bundle)}
    bundles = [{"name": "b", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": path}]
    settings = {"DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles), "CORE__EXECUTOR": executor}
    environment = os.environ | {f"AIRFLOW__{name}": value for name, value in settings.items()}
    words = [sys.executable, "-c", SCRIPT, str(root), what]
    return subprocess.run(words, env=environment, check=True, capture_output=True, text=True)


def test_what_tasks_import_is_there_and_no_data_library(root: Path) -> None:
    assert preloaded(root, "leave") == [True, True, False, False]


@pytest.mark.parametrize(("mode", "there"), [("local", False), ("kubernetes", True)])
def test_what_pods_need_is_there_only_where_steps_are_pods(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, mode: str, there: bool
) -> None:
    monkeypatch.setenv("ML_EXECUTION", mode)
    assert preloads_pods(root) == there


def test_changed_code_is_forgotten(root: Path) -> None:
    assert preloaded(root, "edit") == [True, False, False, False]


def test_nothing_is_preloaded_where_tasks_may_run_other_code(root: Path, tmp_path: Path) -> None:
    assert preloaded(root, "leave", bundle=tmp_path) == [False, False, False, False]
    assert preloaded(root, "leave", executor="CeleryExecutor") == [False, False, False, False]
