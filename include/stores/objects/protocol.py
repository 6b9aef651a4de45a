"""The object store as steps use it; every method that fails for a reason outside raises an error of the tree."""

from typing import Protocol

from include.contract.receipt import ObjectState


class ObjectStore(Protocol):
    """Small documents by key; each is written once and never changed."""

    def create(self, key: str, data: bytes) -> bool:
        """
        Write the object if there is none of this key, atomically.

        :return: False if there was one already; it is left alone.
        """

    def get(self, key: str) -> bytes:
        """
        The object's bytes.

        :raises MissingObjectError: if there is none.
        """

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""

    def list(self, prefix: str) -> list[str]:
        """Keys that begin with the prefix, in order."""

    def seal(self, key: str, data: bytes) -> ObjectState:
        """Create the object, or take the one that is there; either way what lies there now, by its digest."""

    def url(self, key: str) -> str:
        """Where a person finds the object."""
