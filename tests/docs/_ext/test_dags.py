import pytest

from docs._ext.dags import KINDS, markdown, params_markdown
from local_platform.locations import REPOSITORY
from plugins.operators.step import execution_mode


@pytest.mark.airflow
class TestDags:
    def test_the_readme_has_the_same_table(self) -> None:
        assert markdown() in (REPOSITORY / "README.md").read_text()

    def test_tasks_are_in_the_order_in_which_they_run(self) -> None:
        assert "| `train`, `evaluate`, `package`, `deploy` |" in markdown()
        assert "| `platform_maintenance` |" in markdown()

    def test_each_dag_has_a_section_with_its_parameters(self) -> None:
        for name in KINDS:
            assert f"## `<project>_{name}`" in params_markdown()
        assert "| `promote` | `yes` | Whether the model may become champion" in params_markdown()

    def test_looking_at_the_maintenance_dag_changes_no_mode(self) -> None:
        markdown()
        assert execution_mode() == "local"
