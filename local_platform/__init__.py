"""
The whole platform on one machine: an environment to run in, the services, and the year job that ``make run`` shows.

Belongs here: what a person needs to try the platform, and to develop it, on one machine. Does not belong here: anything
that a step or a DAG needs; nothing imports this package. What runs before the environment exists
(``bootstrap``, ``command_line``, ``locations``) uses the standard library alone.
"""
