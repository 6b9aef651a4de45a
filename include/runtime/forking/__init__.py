"""
The fork server of local mode: a process that has imported the libraries, and forks one child a step call.

Belongs here: server, child, socket and warm-up. Does not belong here: the protocol's messages, which are part of
``include.contract``. Only its own entry point imports it.
"""
