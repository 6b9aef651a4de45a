"""
What ``make run`` shows: ten months of the flights project, its progress, and a summary.

Belongs here: calls of Airflow's REST API and of the model server, as a user makes them. Does not belong here:
starting and stopping services.
"""
