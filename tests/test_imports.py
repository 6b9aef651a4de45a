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


def imported(code: str) -> set[str]:
    """Top-level modules that a fresh process has after some code."""
    told = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}\nimport json; print(json.dumps(list(sys.modules)))"
    environment = os.environ | {"AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins")}
    words = [sys.executable, "-W", "ignore", "-c", told]
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_parsing_the_dags_imports_no_data_library() -> None:
    code = (
        "from pathlib import Path; from airflow.dag_processing.dagbag import BundleDagBag\n"
        f"bag = BundleDagBag(dag_folder={str(ROOT)!r}, bundle_path=Path({str(ROOT)!r}), bundle_name='b')\n"
        "assert len(bag.dags) >= 3 and not bag.import_errors, bag.import_errors\n"
    )
    assert not imported(code) & set(DATA_LIBRARIES)


@pytest.mark.parametrize(
    "modules", ["include.errors", "include.contract.receipt, include.contract.fork_protocol", "include.spec.load"]
)
def test_spec_and_contract_need_neither_airflow_nor_a_data_library(modules: str) -> None:
    assert not imported(f"import {modules}") & {*DATA_LIBRARIES, "airflow"}


def test_the_steps_command_line_imports_no_step_and_no_airflow() -> None:
    assert not imported("import include.steps.__main__") & {*DATA_LIBRARIES, "airflow"}
