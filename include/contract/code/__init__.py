"""
Which code a step can reach: read from imports and from the lock file, without importing anything.

Belongs here: the scan of imports, the files that they lead to, the pinned libraries behind them; standard library only.
Does not belong here: what a digest covers, which :mod:`include.contract.code_digest` defines. It alone imports this.
"""
