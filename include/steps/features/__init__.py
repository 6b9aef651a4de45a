"""
The features step: sources, joins, a project's function, selection, and the leak test.

Belongs here: everything from validated tables to one partition of features. Does not belong here: training. Only the
CLI imports it.
"""
