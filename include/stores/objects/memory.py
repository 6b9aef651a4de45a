"""
Objects that are forgotten with the process: the promises of the real ones, for tests of steps and projects.

One store is one installation for as long as the process lives; nothing is shared between processes.
"""

import threading
from dataclasses import dataclass, field

from include.contract.digest import digest_of
from include.contract.receipt import ObjectState
from include.errors import MissingObjectError
from include.stores.objects.keys import checked_key


@dataclass
class MemoryObjects:
    """See :class:`~include.stores.objects.protocol.ObjectStore`."""

    contents: dict[str, bytes] = field(default_factory=dict, repr=False)
    """Bytes by key."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def create(self, key: str, data: bytes) -> bool:
        """Write the object if there is none of this key."""
        with self._lock:
            if checked_key(key) in self.contents:
                return False
            self.contents[key] = bytes(data)
        return True

    def get(self, key: str) -> bytes:
        """The object's bytes."""
        try:
            return self.contents[checked_key(key)]
        except KeyError as error:
            message = f"There is no object '{key}'. Restore it, or run the step again that writes it."
            raise MissingObjectError(message) from error

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        return checked_key(key) in self.contents

    def list(self, prefix: str) -> list[str]:
        """Keys that begin with the prefix, in order."""
        return sorted(key for key in self.contents if key.startswith(prefix))

    def seal(self, key: str, data: bytes) -> ObjectState:
        """Create the object, or take the one that is there."""
        self.create(key, data)
        kept = self.get(key)
        return ObjectState(name=key, digest=digest_of(kept), size_bytes=len(kept))

    def url(self, key: str) -> str:
        """Where a person would find the object."""
        return f"memory:///{checked_key(key)}"
