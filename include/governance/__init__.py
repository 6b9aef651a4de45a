"""
What an operator does by hand to a running installation: ``python -m include.operations``.

Belongs here: work that a person asks for and that no run of Airflow does, above all a rollback. Does not belong here: a
step. Operations use what the steps are made of, and nothing imports them.
"""
