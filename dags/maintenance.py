"""Airflow DAG ``platform_maintenance``, where steps are pods; elsewhere there is nothing to maintain."""

from plugins.pipelines.maintenance import maintenance_dags

globals().update(maintenance_dags())
