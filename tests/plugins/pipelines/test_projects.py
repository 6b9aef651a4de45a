import shutil
from pathlib import Path

import pytest
from airflow.sdk.definitions._internal.dag_parsing_context import _airflow_parsing_context_manager

from include.errors import ConfigurationError
from include.spec.load import projects_folder
from plugins.pipelines.data import data_dag
from plugins.pipelines.projects import build_for_each_project, refuse_broken_specs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two projects: flights, and its twin trains."""
    for name in ("flights", "trains"):
        shutil.copytree(projects_folder() / "flights", tmp_path / name)
        file = tmp_path / name / "project.yaml"
        file.write_text(file.read_text().replace("name: flights\n", f"name: {name}\n", 1))
    return tmp_path


def break_spec(folder: Path, name: str) -> None:
    file = folder / name / "project.yaml"
    file.write_text(file.read_text().replace("metric: roc_auc", "metric: roc_acu"))


def test_one_dag_a_project(folder: Path) -> None:
    assert list(build_for_each_project(data_dag, "data", folder)) == ["flights_data", "trains_data"]


def test_a_task_builds_only_its_own(folder: Path) -> None:
    with _airflow_parsing_context_manager(dag_id="trains_data", task_id="ingest"):
        assert list(build_for_each_project(data_dag, "data", folder)) == ["trains_data"]


def test_a_broken_spec_costs_no_other_project_its_dags(folder: Path) -> None:
    break_spec(folder, "flights")
    assert list(build_for_each_project(data_dag, "data", folder)) == ["trains_data"]


def test_all_mistakes_are_reported_with_file_key_value_and_near_name(folder: Path) -> None:
    refuse_broken_specs(folder)
    break_spec(folder, "flights")
    break_spec(folder, "trains")
    with pytest.raises(ConfigurationError, match="roc_acu") as refused:
        refuse_broken_specs(folder)
    text = str(refused.value)
    for name in ("flights", "trains"):
        assert f"{name}/project.yaml: evaluation.gates[0]" in text
    assert "Did you mean 'roc_auc'?" in text
