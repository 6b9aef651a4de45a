"""Airflow DAG ``<project>_training`` of every project; ``dags/specs.py`` reports projects whose spec is wrong."""

from plugins.pipelines.projects import build_for_each_project
from plugins.pipelines.training import training_dag

globals().update(build_for_each_project(training_dag, "training"))
