"""
The step image: everything that runs inside a step, and the plain data that describes it.

Belongs here: the spec of a project, the contract between Airflow and a step, the stores, the steps, the serving app and
the projects. Does not belong here: anything that imports Airflow. ``plugins/`` and ``dags/`` may import
``include.spec``, ``include.contract``, ``include.errors`` and ``include.processes``; nothing else may be imported
from there.
"""
