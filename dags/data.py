"""Airflow DAG ``<project>_data`` of every project; ``dags/specs.py`` reports projects whose spec is wrong."""

from plugins.pipelines.data import data_dag
from plugins.pipelines.projects import build_for_each_project

globals().update(build_for_each_project(data_dag, "data"))
