"""
Command -> finished task: how a step is started, watched, ended and judged.

Belongs here: one operator for each execution mode and what they share. Does not belong here: the steps themselves,
which are words of a command and not classes. Only ``plugins.pipelines`` imports this package.
"""
