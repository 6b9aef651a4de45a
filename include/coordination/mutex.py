"""
A mutex on the object store: one holder after another, for what a server cannot compare and set.

MLflow registers a version and moves an alias whoever else does so in the same moment. Those who are to change a model
hold its mutex instead: write-once numbered documents, each with an end. A mutex whose holder was killed is free again
after ``HOLD_SECONDS``.
"""

import contextlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from include.contract.document import Document
from include.contract.layout import mutex_key, mutex_released_key
from include.contract.receipt import canonical_json
from include.errors import PlatformError, TemporaryError
from include.stores.objects.protocol import ObjectStore
from include.stores.retry import wait_for

HOLD_SECONDS = 180.0
"""For how long a holder has the mutex at most: longer than a registry may be away without harm."""
WAIT_SECONDS = 60.0
"""How long to wait for the mutex."""
# A listing on S3 beside the cluster takes 6 ms (ADR 14); holders need a second or two.
_PAUSE_SECONDS = 0.1
_NUMBER = re.compile(r"(\d{6})(-over)?\.json")


class Hold(Document):
    """The mutex as one holder took it."""

    until: datetime
    """It is free again then at the latest; UTC."""
    token: str
    """Of one holder: two that write the same number never write the same bytes."""


@contextmanager
def mutex(objects: ObjectStore, prefix: str, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """
    Wait for a mutex and hold it for the length of the block.

    :param prefix: below it lie the mutex's documents; see ``mutex_prefix``.
    :param wait_seconds: how long others may hold it meanwhile.
    :raises TemporaryError: if others hold it for longer, or the store does not respond.
    """

    def take() -> int | None:
        number = _free(objects, prefix)
        return number if number is not None and objects.create(mutex_key(prefix, number), _hold()) else None

    def failure() -> TemporaryError:
        message = (
            f"Others hold the mutex {prefix.rstrip('/')} for longer than {wait_seconds:.0f} s. Run the step again."
        )
        return TemporaryError(message)

    number = wait_for(take, seconds=wait_seconds, pause_seconds=_PAUSE_SECONDS, failure=failure)
    try:
        yield
    finally:
        # If the release cannot be written, the hold runs out; what the block did or raised counts.
        with contextlib.suppress(PlatformError):
            objects.create(mutex_released_key(prefix, number), b"{}")


def _free(objects: ObjectStore, prefix: str) -> int | None:
    """The number of the next hold; None while somebody has the last one."""
    names = [_NUMBER.fullmatch(key.removeprefix(prefix)) for key in objects.list(prefix)]
    last = max((int(name[1]) for name in names if name and not name[2]), default=0)
    # A release is a document of its own: objects are written once and never deleted.
    if not last or any(name and name[2] and int(name[1]) == last for name in names):
        return last + 1
    try:
        until = Hold.model_validate_json(objects.get(mutex_key(prefix, last))).until
    except ValidationError:
        return last + 1  # nobody can hold what nobody can read
    # Clocks that differ by more than the hold would free a mutex early; the compared alias is the second guard.
    return last + 1 if until < datetime.now(UTC) else None


def _hold() -> bytes:
    until = datetime.now(UTC) + timedelta(seconds=HOLD_SECONDS)
    return canonical_json(Hold(until=until, token=secrets.token_hex(8)).model_dump(mode="json"))
