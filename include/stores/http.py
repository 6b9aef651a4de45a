"""What HTTP clients of the stores share."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class HttpAnswer:
    """One answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes
