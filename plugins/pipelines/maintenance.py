"""The maintenance DAG: tasks for the installation as a whole, not for a project."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from plugins.operators.step import KUBERNETES, execution_mode
from plugins.pipelines.documentation import maintenance_doc

DAG_ID = "platform_maintenance"
EVERY_TEN_MINUTES = "*/10 * * * *"


def maintenance_dags() -> dict[str, DAG]:
    """The DAG by its id; empty in execution mode ``local``, where there are no pods to delete."""
    return {DAG_ID: _maintenance_dag()} if execution_mode() == KUBERNETES else {}


def _maintenance_dag() -> DAG:
    from plugins.operators.pod.orphans import PodReaperOperator  # imports 2,000 modules: only where steps are pods

    with DAG(
        dag_id=DAG_ID,
        description="Deletes pods of steps that no task waits for.",
        schedule=CronTriggerTimetable(EVERY_TEN_MINUTES, timezone="UTC"),
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=False,  # lost pods hold their requests of memory until somebody deletes them
        default_args={"owner": "platform"},
        tags={"platform", "maintenance"},
        doc_md=maintenance_doc(),
    ) as dag:
        PodReaperOperator(
            task_id="reap_pods",
            retries=2,
            retry_delay=timedelta(seconds=30),
            execution_timeout=timedelta(minutes=5),
        )
    return dag
