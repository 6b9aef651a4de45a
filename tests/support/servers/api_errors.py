"""Errors of the API server of Kubernetes, as its client raises them."""

import json

from kubernetes.client.exceptions import ApiException


def refused(status: int, reason: str = "", message: str = "because") -> ApiException:
    """The official client's error for a response with a ``Status`` in it."""
    error = ApiException(status=status, reason=reason or "Reason")
    error.body = json.dumps({"kind": "Status", "reason": reason, "message": message, "code": status})
    return error
