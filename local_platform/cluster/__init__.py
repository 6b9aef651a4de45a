"""
The platform on a cluster: Airflow on this machine, every step a pod, the model served by Kubernetes.

Belongs here: what ``make cluster-up``, ``cluster-run`` and ``cluster-down`` do beyond ``up``, ``run`` and ``down``. The
cluster, the artifact registry and the S3 endpoint are named by the environment. Does not belong here: what people apply
to a cluster by hand, which is ``helm-values/cluster``, and anything that a step or a DAG needs.
"""
