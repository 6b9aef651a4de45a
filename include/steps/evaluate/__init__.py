"""
The evaluate step: contenders, holdout, baseline, gates and the model card.

Belongs here: what compares a model with others on rows that no model was fitted on. Does not belong here: metrics and
slices (``include.modeling``), and moving a champion (``include.governance``). Only the CLI imports it.
"""
