"""
The score step: which model was champion as of the partition, and its predictions of the partition's rows.

Belongs here: everything between the ledger, a sealed bundle and the predictions table. Does not belong here: moving the
champion, and answering requests. Only the CLI imports it.
"""
