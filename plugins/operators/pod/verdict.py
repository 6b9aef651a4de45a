"""A pod that ended -> the verdict on its step: by the receipt, whatever the pod's phase says."""

from collections.abc import Sequence

from include.errors import TemporaryError
from plugins.operators.outcome import Reference, conclude
from plugins.operators.pod.attempt import PodCall
from plugins.operators.pod.failure import unexplained
from plugins.operators.pod.memory import OUT_OF_MEMORY, Memories, ran_out
from plugins.operators.pod.watching import PodState


class StoreAwayError(TemporaryError):
    """The object store does not answer, so nobody knows yet how the step ended."""


class _Told:
    """The object store, saying of its own failures that they are no verdict."""

    def __init__(self, documents: Memories) -> None:
        self._documents = documents

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        try:
            return self._documents.get(key)
        except TemporaryError as error:
            raise StoreAwayError(str(error)) from error

    def list(self, prefix: str) -> Sequence[str]:
        """Keys that begin with the prefix, in order."""
        try:
            return self._documents.list(prefix)
        except TemporaryError as error:
            raise StoreAwayError(str(error)) from error

    def create(self, key: str, data: bytes) -> bool:
        """Create an object; False if it is there."""
        try:
            return self._documents.create(key, data)
        except TemporaryError as error:
            raise StoreAwayError(str(error)) from error


def verdict(call: PodCall, state: PodState) -> Reference:
    """
    Judge a pod that ended.

    :raises StoreAwayError: if the object store does not answer.
    :raises TemporaryError: if Airflow is to try again, and permanent errors and skips as :func:`conclude` does.
    """
    documents = _Told(call.documents)
    command = call.command
    ended_by = unexplained(command, call.name, state, call.asked.timeout)
    if state.reason == OUT_OF_MEMORY:
        # Written down only if no receipt says that the step was done before.
        ended_by = _OutOfMemory()
    try:
        return conclude(command, state.exit_code, documents, state.said, ended_by)
    except _OutOfMemory:
        raise ran_out(command, call.memory, call.asked, documents) from None


class _OutOfMemory(Exception):  # noqa: N818 (a sign between two functions, not an error)
    """The step was killed for its memory."""
