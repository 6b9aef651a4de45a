"""
A step as a pod: a KubernetesPodOperator and what it needs.

To follow a task from ``execute`` to its end, read ``operator`` (launch, follow, sleep), ``attempt`` (the state that is
passed on), ``watching`` (status and log), ``verdict`` (why the pod ended), and ``plugins.operators.outcome``, which all
operators share. These call ``spec`` (what the pod is), ``names`` (what it is called) and ``api`` (requests to the
cluster). ``orphans`` deletes the pods that no task waits for. The decisions are those of ADR 13.

Imported only where steps are pods, for it imports 2,000 modules.
"""
