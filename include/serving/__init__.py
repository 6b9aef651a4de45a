"""
The app that serves predictions, and the supervisor that runs it on one machine.

Belongs here: a model's worker process (``python -m include.serving``), which keeps MLflow's scoring contract, and the
supervisor (``python -m include.serving.processes.supervisor``), which owns the public port and switches between
workers. Does not belong here: anything that trains, registers or decides which model is served. It may import
``include.stores``, ``include.packaging``, ``include.pages``, ``include.contract`` and ``include.errors``. MLflow itself
is never imported: it costs two seconds of every start.
"""
