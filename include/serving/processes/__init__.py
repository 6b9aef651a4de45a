"""
The processes of a model server: supervisor, fleet and workers, and the response while none of them serves.

Belongs here: starting, switching and draining processes. Does not belong here: what a request holds.
"""
