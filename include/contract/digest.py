"""The one notation of digests: ``sha256:`` and 64 hexadecimal digits, as OCI writes them."""

import hashlib


def digest_of(content: bytes) -> str:
    """``sha256:…`` of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
