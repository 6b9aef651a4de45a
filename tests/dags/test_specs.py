from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import BundleDagBag

from tests.support.step_bundle import make_bundle

pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern")


def test_a_sound_tree_has_nothing_to_report() -> None:
    root = Path(__file__).resolve().parents[2]
    file = root / "dags" / "specs.py"
    assert BundleDagBag(dag_folder=str(file), bundle_path=root, bundle_name="ml-platform").import_errors == {}


def test_airflow_sees_the_file_although_it_holds_no_dag(tmp_path: Path) -> None:
    root = make_bundle(tmp_path).root
    (root / "dags" / "specs.py").write_text(
        (root / "dags" / "specs.py").read_text().replace("refuse_broken_specs()", "raise ValueError('seen')")
    )
    bag = BundleDagBag(dag_folder=str(root), bundle_path=root, bundle_name="ml-platform")
    assert list(bag.import_errors) == ["dags/specs.py"]
