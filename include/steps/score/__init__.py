"""
What scoring a partition is made of: which model was champion then, and what it says of the partition's rows.

Belongs here: everything between the ledger, a sealed bundle and the predictions table. Does not belong here: moving the
champion, and answering requests. The score step imports it.
"""
