"""
One folder a project: ``project.yaml`` and a team's own plain functions.

A project imports data libraries only: it knows nothing of the platform, and no other project.
"""
