"""
What Airflow 3.3 does slowly or not at all. Each has a test that fails once it is mended upstream.

Belongs here: changes to Airflow's own behaviour. Does not belong here: operators. ``ml_platform_plugin.py`` imports it.
"""
