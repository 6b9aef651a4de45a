"""The data DAG: ingest the sources of a partition, validate them, then profile them and compute features."""

from airflow.sdk import DAG

from include.contract.step_names import StepName
from include.spec.project import ProjectSpec
from plugins.operators.step import step_task
from plugins.operators.step_resources import PARAM
from plugins.pipelines.assets import features_asset, validated_asset
from plugins.pipelines.documentation import data_doc
from plugins.pipelines.partitions import OF_INTERVAL
from plugins.pipelines.schedule import cron_intervals, dag_settings, partition_param, resources_param


def data_dag(spec: ProjectSpec) -> DAG:
    """One run for each partition. Partitions are independent: runs may come in any order, several at once (ADR 2)."""
    settings = dag_settings(spec, "data", spec.schedule.data)
    schedule = cron_intervals(spec, spec.schedule.data)
    steps = (StepName.INGEST, StepName.VALIDATE, StepName.PROFILE, StepName.FEATURES)
    params = {"partition": partition_param(spec), PARAM: resources_param(*steps)}
    with DAG(**settings, schedule=schedule, params=params, doc_md=data_doc(spec)) as dag:
        ingest = [step_task(spec, StepName.INGEST, partition=OF_INTERVAL, source=source) for source in _tasks(spec)]
        validate = step_task(spec, StepName.VALIDATE, partition=OF_INTERVAL, outlets=[validated_asset(spec)])
        profile = step_task(spec, StepName.PROFILE, partition=OF_INTERVAL)
        features = step_task(spec, StepName.FEATURES, partition=OF_INTERVAL, outlets=[features_asset(spec)])
        ingest >> validate >> [profile, features]
    return dag


def _tasks(spec: ProjectSpec) -> list[str | None]:
    """The source of each ingest task; None for the one that takes all those without a task of their own."""
    shared: list[str | None] = [None] if spec.sources_of_task(None) else []
    return shared + [name for name, source in spec.sources.items() if source.own_task]
