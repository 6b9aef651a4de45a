"""
HTTP: routes, request bodies, the API page and the service's metrics.

Belongs here: from bytes of a request to columns, and back. Does not belong here: what a prediction is.
"""
