"""
The validate step: the rules that no project can switch off, the checks of the spec, and the report.

Belongs here: what says which rows are bad and whether a partition may pass. Does not belong here: reading of sources.
Nothing here lets a row's value out: findings hold names of rules and columns, counts, and what the spec itself says.
Only the CLI imports it.
"""
