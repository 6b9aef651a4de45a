"""
The only code that talks to the outside: tables, objects, the model registry, the model server and metrics.

Belongs here: one Protocol a store, the real store, and a memory one that passes the same tests. Foreign errors are
caught here and come out as ``include.errors``. Does not belong here: what a step does with a store. Steps import it;
Airflow's hooks import it when a task runs.
"""
