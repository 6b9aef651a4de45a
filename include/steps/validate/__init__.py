"""
Judging of a partition's rows for the validate step: the prelude, the checks of the spec, and the report.

Belongs here: what says which rows are bad and whether a partition may pass. Does not belong here: reading and writing
of tables. Nothing here lets a row's value out: findings hold names of rules and columns, counts, and what the spec
itself says. Only ``include.steps.validate`` imports it.
"""
