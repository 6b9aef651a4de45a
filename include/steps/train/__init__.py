"""
The train step: window, provenance, search, golden rows and the run in the model registry.

Belongs here: everything between a command for training and a model that is logged with its evidence. Does not belong
here: evaluating a model, and serving one. Only the CLI imports it.
"""
