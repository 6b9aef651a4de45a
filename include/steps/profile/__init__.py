"""
The profile step: the exploratory report of a partition, and its drift page.

Belongs here: what informs a person about a partition. Does not belong here: the arithmetic of drift, which is
``include.modeling``'s. Only the CLI imports it.
"""
