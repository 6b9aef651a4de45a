"""Airflow DAG ``<project>_scoring`` of every project; ``dags/specs.py`` reports projects whose spec is wrong."""

from plugins.pipelines.projects import build_for_each_project
from plugins.pipelines.scoring import scoring_dag

globals().update(build_for_each_project(scoring_dag, "scoring"))
