"""
The package step: what a training left behind, sealed as a bundle, proven by golden rows, registered.

Belongs here: everything between an evaluated model and a registered version. Does not belong here: the format of the
files (``include.packaging``) and traffic (deploy). Only the CLI imports it.
"""
