"""
No Airflow DAG comes from here, only an import error that names every mistake in any ``project.yaml``.

The other files build the DAGs of all projects whose spec is right: one project's mistake is not the others' outage.
"""

from plugins.pipelines.projects import refuse_broken_specs

refuse_broken_specs()
