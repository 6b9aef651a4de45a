"""
Spec -> DAG: one builder for each stage of a project's life.

Belongs here: schedules, parameters, order of steps, documentation. Does not belong here: how a step is started
(``plugins.operators``) and what it does (``include.steps``). Nothing is read at import; builders are pure functions.
"""
