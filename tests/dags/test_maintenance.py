from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import BundleDagBag

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern")


def test_the_file_gives_the_dag_where_steps_are_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ML_EXECUTION", "kubernetes")
    bag = BundleDagBag(dag_folder=str(ROOT / "dags" / "maintenance.py"), bundle_path=ROOT, bundle_name="ml-platform")
    assert bag.import_errors == {}
    assert list(bag.dags) == ["platform_maintenance"]
