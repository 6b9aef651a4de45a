"""
Computations on rows, models and predictions: metrics, intervals, slices, drift, pipelines.

Belongs here: arithmetic and a project's functions. Does not belong here: stores, receipts and what a step decides. The
steps import it.
"""
