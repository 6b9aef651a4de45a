"""
The ingest step: downloads or queries a source, reads its rows, and selects those of the partition.

Belongs here: everything between a location in the spec and rows in the types of the spec. Does not belong here: what is
right or wrong about a row's values (the validate step). Only the CLI imports it.
"""
