"""
A step's own lease: taken before the work, looked at before anything is published, renewed by a thread meanwhile.

A step that ends within half a minute writes one document and starts a thread that does nothing.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from include.contract.command import StepCommand
from include.coordination.leases import LEASE_SECONDS, Leases
from include.errors import LeaseLostError, PlatformError, TemporaryError
from include.stores.objects.protocol import ObjectStore

LOOK_SECONDS = 10.0
"""How soon a running step notices that its lease was revoked, or that another attempt took over."""
RENEW_SECONDS = 30.0
"""How often the lease is renewed: a step of one hour leaves 120 documents of 150 bytes."""


def _nobody(_error: TemporaryError) -> None:
    """Does nothing: the next check of the lease raises."""


class Lease:
    """
    The right of one call of one step to publish.

    :param on_loss: called once from the lease's own thread when the lease is lost while the step works.
    :param clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        objects: ObjectStore,
        command: StepCommand,
        *,
        on_loss: Callable[[TemporaryError], None] = _nobody,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._leases = Leases(objects, command)
        self._on_loss = on_loss
        self._clock = clock
        self._number = 0
        self._renewals = 0
        self._renewed_at = 0.0
        self._seen_at = 0.0
        self._lost: TemporaryError | None = None
        self._taking = threading.Lock()
        self._is_kept = False
        self._released = threading.Event()

    def __enter__(self) -> Self:
        """Take the lease, and renew it until the block is left; see :meth:`take`."""
        self.take()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self) -> None:
        """
        Take the lease unless this call has it already, and renew it until it is released; from any thread.

        :raises LeaseLostError: if a newer attempt works, or this one's lease was revoked.
        :raises TemporaryError: if the store does not respond.
        """
        with self._taking:
            if not self._number:
                # Before the request: this process must never take its lease for longer-lived than others do.
                self._renewed_at = self._clock()
                self._number = self._leases.take()
            self.check()
            if not self._is_kept:
                self._is_kept = True
                threading.Thread(target=self._keep, name="lease", daemon=True).start()

    def release(self) -> None:
        """Renew it no more; nothing happens to one that was never taken."""
        self._released.set()

    def check(self, *, seen_within_seconds: float = 0.0) -> None:
        """
        Refuse to go on without the lease.

        :param seen_within_seconds: a look as young as this is good enough; 0 looks anew.
        :raises LeaseLostError: if the lease is not held any more.
        :raises TemporaryError: if the store does not respond.
        """
        self._refuse_without()
        now = self._clock()
        if seen_within_seconds and now - self._seen_at < seen_within_seconds:
            return
        try:
            self._leases.look(self._number)
        except LeaseLostError as error:
            self.lose(error)
            raise
        self._refuse_without()  # the request may have taken long, and a shutdown may have begun meanwhile
        self._seen_at = now

    def check_undoing(self) -> None:
        """
        Refuse to take back what was done, if another attempt took over and may build on it.

        :raises LeaseLostError: if so.
        :raises TemporaryError: if the store does not respond.
        """
        self._leases.look(self._number, is_undoing=True)

    def lose(self, error: TemporaryError) -> None:
        """From now on nothing is published; the first reason stays."""
        if self._lost is None:
            self._lost = error

    def _refuse_without(self) -> None:
        if not self._number:
            message = "A step publishes only while it works: its lease was not taken."
            raise RuntimeError(message)
        if self._lost is None and self._clock() - self._renewed_at > LEASE_SECONDS:
            message = f"The lease of this step could not be renewed for {LEASE_SECONDS:.0f} s, so it publishes nothing."
            self._lost = LeaseLostError(f"{message} Look after the object store and run it again.")
        if self._lost is not None:
            raise type(self._lost)(str(self._lost))

    def _keep(self) -> None:
        while not self._released.wait(LOOK_SECONDS):
            try:
                self.check()
                self._renew_when_due()
            except LeaseLostError as error:
                if not self._released.is_set():
                    self._on_loss(error)
                return
            except PlatformError:
                continue  # the store is away: the lease runs out if it stays away

    def _renew_when_due(self) -> None:
        now = self._clock()
        if now - self._renewed_at >= RENEW_SECONDS:
            self._leases.renew(self._number, self._renewals + 1)
            self._renewals += 1
            self._renewed_at = now
