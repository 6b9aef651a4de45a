"""Which keys an object may have, in every backend."""

import re

from include.errors import ConfigurationError

# No segment begins with a dot, which rules out "..", and ".partial" of the directory store.
_KEY = re.compile(r"[A-Za-z0-9_=+:@,-][A-Za-z0-9._=+:@,-]*(/[A-Za-z0-9_=+:@,-][A-Za-z0-9._=+:@,-]*)*")
_KEY_LIMIT = 900
"""Characters; S3 allows 1,024 bytes, prefix included."""


def checked_key(key: str) -> str:
    """
    The key, if it is one: words of letters, digits and ``._=+:@,-`` between slashes, none beginning with a dot.

    :raises ConfigurationError: if it is none; it could lead out of the store.
    """
    if len(key) > _KEY_LIMIT or not _KEY.fullmatch(key):
        message = f"'{key[:200]}' is no key of an object; use words of letters, digits and ._=+:@,- between slashes."
        raise ConfigurationError(message)
    return key
