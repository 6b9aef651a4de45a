"""
One after another: for what a server cannot compare and set.

MLflow registers a version and moves an alias whoever else does so in the same moment. Those who are to change a model
take turns instead: write-once numbered documents, each with an end. A turn that its holder never ended, because it was
killed, ends by itself.
"""

import contextlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from include.contract.document import Document
from include.contract.layout import turn_key, turn_over_key
from include.contract.receipt import canonical_json
from include.errors import PlatformError, TemporaryError
from include.stores.objects.protocol import ObjectStore
from include.stores.retry import wait_for

TURN_SECONDS = 180.0
"""When a turn is over whose holder says nothing: longer than a registry may be away without harm."""
WAIT_SECONDS = 60.0
"""How long to wait for one's turn."""
_PAUSE_SECONDS = 0.1
_NUMBER = re.compile(r"(\d{6})(-over)?\.json")


class Turn(Document):
    """One turn as it was taken."""

    until: datetime
    """It is over then at the latest."""
    token: str
    """Of one holder: two that write the same number never write the same bytes."""


@contextmanager
def turn(objects: ObjectStore, prefix: str, *, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """
    Wait for one's turn and have it for the length of the block.

    :param prefix: below it lie the turns; see ``turns_prefix``.
    :raises TemporaryError: if the turn of others does not end in time, or the store does not answer.
    """

    def take() -> int | None:
        number = _free(objects, prefix)
        return number if number is not None and objects.create(turn_key(prefix, number), _taken()) else None

    def failure() -> TemporaryError:
        message = f"Others are at {prefix.rstrip('/')} for longer than {wait_seconds:.0f} s. Run the step again."
        return TemporaryError(message)

    number = wait_for(take, seconds=wait_seconds, pause_seconds=_PAUSE_SECONDS, failure=failure)
    try:
        yield
    finally:
        # If this cannot be said, the turn ends by itself; what the block did or raised counts.
        with contextlib.suppress(PlatformError):
            objects.create(turn_over_key(prefix, number), b"{}")


def _free(objects: ObjectStore, prefix: str) -> int | None:
    """The number of the next turn; None while somebody has the last one."""
    found = [_NUMBER.fullmatch(key.removeprefix(prefix)) for key in objects.list(prefix)]
    last = max((int(name[1]) for name in found if name and not name[2]), default=0)
    if not last or any(name and name[2] and int(name[1]) == last for name in found):
        return last + 1
    try:
        until = Turn.model_validate_json(objects.get(turn_key(prefix, last))).until
    except ValidationError:
        return last + 1  # nobody can hold what nobody can read
    return last + 1 if until < datetime.now(UTC) else None


def _taken() -> bytes:
    until = datetime.now(UTC) + timedelta(seconds=TURN_SECONDS)
    return canonical_json(Turn(until=until, token=secrets.token_hex(8)).model_dump(mode="json"))
