"""
What Airflow 3.3 does slowly or not at all. Each module has a test that fails once Airflow has fixed it (ADR 18).

Belongs here: changes to Airflow's own behaviour. Does not belong here: operators. Only ``ml_platform_plugin.py``
imports this package.
"""
