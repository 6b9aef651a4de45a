"""
The platform on a cluster: Airflow on this machine, every step a pod, the model served by Kubernetes.

Belongs here: what ``make cluster-up``, ``cluster-run`` and ``cluster-down`` do beyond their local twins. The cluster, a
registry and an S3 endpoint come from the environment and may be anybody's. Does not belong here: what people apply to a
cluster by hand, which is ``helm-values/cluster``, and anything that a step or a DAG needs.
"""
