"""What must not be imported where, seen from outside: in a fresh process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_LIBRARIES = (
    "boto3", "deltalake", "great_expectations", "kubernetes", "matplotlib", "mlflow", "numpy", "pandas", "pyarrow",
    "scipy", "sklearn", "skops", "skrub",
)  # fmt: skip
FOREIGN = ("AIRFLOW", "_AIRFLOW", "ML_", "MLFLOW_")


def imported(code: str, airflow_home: Path) -> set[str]:
    """Top-level modules that a fresh process has after some code; nothing that other tests set reaches it."""
    told = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}\nimport json; print(json.dumps(list(sys.modules)))"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    environment = kept | {"AIRFLOW_HOME": str(airflow_home), "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins")}
    words = [sys.executable, "-W", "ignore", "-c", told]
    done = subprocess.run(words, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_parsing_the_dags_imports_no_data_library(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from airflow.dag_processing.dagbag import BundleDagBag\n"
        f"bag = BundleDagBag(dag_folder={str(ROOT)!r}, bundle_path=Path({str(ROOT)!r}), bundle_name='b')\n"
        "assert len(bag.dags) >= 3 and not bag.import_errors, bag.import_errors\n"
    )
    assert not imported(code, tmp_path) & set(DATA_LIBRARIES)


@pytest.mark.parametrize(
    "modules", ["include.errors", "include.contract.receipt, include.contract.fork_protocol", "include.spec.load"]
)
def test_spec_and_contract_need_neither_airflow_nor_a_data_library(modules: str, tmp_path: Path) -> None:
    assert not imported(f"import {modules}", tmp_path) & {*DATA_LIBRARIES, "airflow"}


def test_the_steps_command_line_imports_no_step_and_no_airflow(tmp_path: Path) -> None:
    assert not imported("import include.steps.__main__", tmp_path) & {*DATA_LIBRARIES, "airflow"}
