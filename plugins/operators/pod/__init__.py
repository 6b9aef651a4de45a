"""
A step as a pod: a KubernetesPodOperator and what it needs.

From ``execute`` to the verdict one reads ``operator`` (launch, follow, sleep), ``attempt`` (the state that travels),
``watching`` (status and log), ``verdict``, and ``plugins.operators.outcome``, which all operators share. These call
``spec`` (what the pod is), ``names`` (what it is called) and ``api`` (requests to the cluster). ``orphans`` deletes the
pods that no task waits for.

Imported only in the branch of execution mode kubernetes, for it costs 2,000 modules.
"""
