"""The scoring DAG: batch predictions for a partition."""

from airflow.sdk import DAG

from include.contract.step_names import StepName
from include.spec.project import ProjectSpec
from plugins.operators.step import step_task
from plugins.operators.step_resources import PARAM
from plugins.pipelines.documentation import scoring_doc
from plugins.pipelines.partitions import OF_INTERVAL
from plugins.pipelines.schedule import cron_intervals, dag_settings, partition_param, resources_param


def scoring_dag(spec: ProjectSpec) -> DAG:
    """One run for each partition; it predicts with the champion as of the partition's beginning."""
    settings = dag_settings(spec, "scoring", spec.schedule.scoring)
    schedule = cron_intervals(spec, spec.schedule.scoring)
    params = {"partition": partition_param(spec), PARAM: resources_param(StepName.SCORE)}
    with DAG(**settings, schedule=schedule, params=params, doc_md=scoring_doc(spec)) as dag:
        step_task(spec, StepName.SCORE, partition=OF_INTERVAL)
    return dag
