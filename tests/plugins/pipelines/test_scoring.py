from include.spec.load import load_project
from plugins.pipelines.scoring import scoring_dag


def test_one_task_scores_one_partition() -> None:
    dag = scoring_dag(load_project("flights"))
    assert dag.dag_id == "flights_scoring"
    assert [task.task_id for task in dag.tasks] == ["score"]
    assert list(dag.params) == ["partition", "resources"]
