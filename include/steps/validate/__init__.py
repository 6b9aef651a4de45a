"""
The validate step: the rules that no project can switch off, the checks of the spec, and the report.

Belongs here: what decides which rows are bad and whether a partition passes. Does not belong here: reading of sources.
No row's value leaves this package: findings hold names of rules and columns, counts, and texts of the spec. Only the
CLI imports it.
"""
