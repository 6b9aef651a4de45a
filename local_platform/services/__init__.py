"""
Airflow, MLflow, the fork server and the model server on one machine: started, watched, stopped.

Belongs here: processes, ports, passwords and environments. Does not belong here: what is run on them.
"""
