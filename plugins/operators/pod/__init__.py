"""
A step as a pod: a KubernetesPodOperator and what it needs.

Imported only in the branch of execution mode kubernetes, for it costs 2,000 modules.
"""
