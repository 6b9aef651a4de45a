"""
The steps of a model's life, one folder each, as words of one CLI: ``python -m include.steps``.

A step module has one function, ``plan(context)``: it looks at what the work depends on and returns it with the work
itself, to be done if no receipt of the same work exists. Steps do not import one another; the results of one reach
another through its receipt. Nothing imports this package but the entry points.
"""
