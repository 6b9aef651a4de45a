"""
Keeping writers apart on the object store: leases (one writer at a time, with an end) and the mutex (one after another).

Belongs here: what decides who may write now. Does not belong here: what is written. ``include.runtime`` and
``include.governance`` import it; Airflow's side may read it.
"""
