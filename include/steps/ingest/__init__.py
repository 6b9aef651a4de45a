"""
Reading of sources for the ingest step: where the bytes are, what they say, which rows belong to the partition.

Belongs here: everything between a location in the spec and rows in the types of the spec. Does not belong here: what
is right or wrong about a row's values (validation), and writing. Only ``include.steps.ingest`` imports it.
"""
