"""
The evaluate step: contenders, holdout, baseline, gates and the model card.

Belongs here: what compares a challenger with the baseline and the champion on the holdout. Does not belong here:
metrics and slices (``include.modeling``), and moving a champion (``include.governance``). Only the CLI imports it.
"""
