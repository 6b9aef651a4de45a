"""A client of the Kubernetes API, as small as the stores and operators need it."""
