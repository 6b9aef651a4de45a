"""
Command -> finished task: how a step is started, watched and ended, and how its task ends.

Belongs here: one operator for each execution mode and what they share. Does not belong here: the steps themselves,
which are words of a command and not classes. ``plugins.pipelines`` and ``plugins.airflow_patches`` import this package.
"""
