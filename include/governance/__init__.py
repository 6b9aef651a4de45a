"""
What a person must be able to trust: evidence, the ledger of champions, versions, promotion, roll-out and rollback.

Belongs here: what moves a champion, and the record of it; ``python -m include.governance`` is what an operator does by
hand. Does not belong here: training or evaluating a model. The steps import it; Airflow's side may read it.
"""
