"""
What the train step is made of: window, evidence, rows, search, and the run in the model registry.

Belongs here: everything between a command for training and a model that is logged with its evidence. Does not belong
here: judging a model, which is ``include.steps.judging``, and everything about serving one. The steps import it.
"""
