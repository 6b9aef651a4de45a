"""
The processes of a model server: supervisor, fleet, workers and their draining.

Belongs here: who lives, who takes over, who ends. Does not belong here: what a request says.
"""
