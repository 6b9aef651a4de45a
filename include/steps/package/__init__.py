"""
What packaging and deploying a model is made of: what a training left behind, the proof of a bundle, the ledger.

Belongs here: everything between a judged model and the traffic that it gets. Does not belong here: training or judging
it, and serving itself, which is ``include.serving``. The steps package and deploy import it.
"""
