"""What the API server of Kubernetes answers when it does not do what was requested."""

import json

from kubernetes.client.exceptions import ApiException


def refused(status: int, reason: str = "", message: str = "because") -> ApiException:
    """The official client's error for an answer with a ``Status`` in it."""
    error = ApiException(status=status, reason=reason or "Reason")
    error.body = json.dumps({"kind": "Status", "reason": reason, "message": message, "code": status})
    return error
