"""
A model as sealed files: the manifest with its digests, MLflow's format, the OCI image.

Belongs here: what lies in a bundle and how it is checked before it is read. Does not belong here: where a bundle is
kept (``include.stores``), and serving requests (``include.serving``). Stores, steps and serving import it.
"""
