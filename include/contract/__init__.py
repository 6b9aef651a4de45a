"""
What passes between Airflow and a step: commands to the step, receipts and outcomes back, and the keys of both.

Belongs here: plain data and its wire forms, standard library and pydantic only. Does not belong here: anything that
reads a store, imports a data library or Airflow. Both sides may import it.
"""
