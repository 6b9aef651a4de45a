"""The model registry, which is MLflow's: the protocol, MLflow, and memory."""
