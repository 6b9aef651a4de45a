"""
One model: loading, predicting directly or through scikit-learn, batching, golden rows.

Belongs here: from a sealed bundle and columns to predictions. Does not belong here: HTTP (``include.serving.web``) and
processes (``include.serving.processes``).
"""
