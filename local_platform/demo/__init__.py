"""
What ``make run`` shows: a year of the flights project, watched and summed up.

Belongs here: driving Airflow as a user does. Does not belong here: starting and stopping services.
"""
