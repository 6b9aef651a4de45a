"""
How one call of a step runs exactly once: context, runner, fencing, shutdown, events, termination message.

Belongs here: what is the same for every step. Does not belong here: what a step does. The steps and their
CLI import it.
"""
