"""
What judging a model is made of: metrics with intervals, baselines, slices, gates and the model card.

Belongs here: what can be said of predictions on rows that a model never saw. Does not belong here: training a model and
moving it anywhere. The steps import it; training uses its metrics.
"""
