"""What the API server says when it does not do what was requested: the ``Status`` in its answer, read in one place."""

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
    """An answer that is no success."""

    status: int
    """Of HTTP; 0 if there was no answer."""
    is_from_api_server: bool
    """Whether the API server itself says so, and not a Service behind its proxy."""
    reason: str = ""
    """The API server's word, like ``AlreadyExists``; empty if it gives none."""
    message: str = ""
    """The API server's sentence, cut; empty if it gives none."""

    @property
    def is_quota(self) -> bool:
        """Whether the namespace has no more to give."""
        return is_quota(self.message)


def refusal_of(error: "ApiException") -> Refusal:
    """What an error of the Kubernetes client says."""
    try:
        said = json.loads(error.body or "")
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    message = str(said.get("message") or "")
    return Refusal(
        status=int(error.status or 0),
        is_from_api_server=said.get("kind") == "Status",
        reason=str(said.get("reason") or ""),
        message=foreign(message) if message else "",
    )


def is_quota(message: str) -> bool:
    """Whether a message of the API server, or of one of its controllers, says that a quota is used up."""
    # Quota has no status or reason of its own: it is 403 Forbidden like a missing right, and only the words differ.
    return _QUOTA in message
