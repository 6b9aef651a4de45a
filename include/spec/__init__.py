"""
What a project is: ``project.yaml`` read into frozen models.

Belongs here: the keys of the spec, their meaning, and every check of them that needs no data. Does not belong here:
anything that reads data, a store or the environment. Standard library, PyYAML and pydantic only: the DAG processor
imports this package every time it parses a DAG file.
"""
