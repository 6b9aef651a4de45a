"""
What a task needs of the platform's stores and settings, opened only while it runs.

Does not belong here: anything that a step needs; a step reads its own environment. Only operators import this package.
"""
