"""Requests that the API server refuses: the ``Status`` in its response, read here and nowhere else."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import foreign

if TYPE_CHECKING:
    from kubernetes.client import ApiException

ALREADY_EXISTS = "AlreadyExists"
_QUOTA = "exceeded quota"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A response that is no success."""

    status: int
    """Of HTTP; 0 if there was no response."""
    is_from_api_server: bool
    """Whether the API server itself refused, and not a Service behind its proxy."""
    reason: str = ""
    """The API server's word, like ``AlreadyExists``; empty if it gives none."""
    message: str = ""
    """The API server's sentence, cut; empty if it gives none."""

    @property
    def is_quota(self) -> bool:
        """Whether the namespace has no more to give."""
        return is_quota(self.message)


def refusal_of(error: "ApiException") -> Refusal:
    """The refusal in an error of the Kubernetes client."""
    try:
        # A proxy or load balancer in front of the API server responds in HTML: the body may be anything.
        document = json.loads(error.body or "")
    except ValueError:
        document = None
    document = document if isinstance(document, dict) else {}
    message = str(document.get("message") or "")
    return Refusal(
        status=int(error.status or 0),
        is_from_api_server=document.get("kind") == "Status",
        reason=str(document.get("reason") or ""),
        message=foreign(message) if message else "",
    )


def is_quota(message: str) -> bool:
    """Whether a message of the API server, or of one of its controllers, states that a quota is used up."""
    # Quota has no status or reason of its own: it is 403 Forbidden like a missing right, and only the words differ.
    return _QUOTA in message
