"""
The ingest step: where a source's bytes are, what they say, which rows belong to the partition.

Belongs here: everything between a location in the spec and rows in the types of the spec. Does not belong here: what is
right or wrong about a row's values (the validate step). Only the CLI imports it.
"""
