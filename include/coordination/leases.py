"""
Leases: which attempt of a step may publish for one run and one subject.

All of it is write-once documents below one prefix. An attempt takes the next number; the highest number holds, so a
newer attempt ends an older one by merely starting. A late start of an older attempt is refused while the lease of a
newer one lives. A renewal extends a lease, a revocation ends whatever leases an attempt has or takes. Nobody waits for
a lease to run out: the numbers decide who holds, and clocks of two machines are compared only for that late start.
"""

import re
import secrets
import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from pydantic import ValidationError

from include.contract.command import StepCommand
from include.contract.document import Document
from include.contract.layout import lease_key, leases_prefix, renewal_key, revocation_key
from include.contract.receipt import canonical_json
from include.errors import LeaseLostError, TemporaryError, foreign
from include.stores.objects.protocol import ObjectStore

LEASE_SECONDS = 120.0
"""How long a lease lives after it was taken or renewed: longer than a store may be away without harm."""
REVOKED_SECONDS = 86_400.0
"""How long a revocation holds; no process of an attempt that was called off lives longer."""
# Numbers are padded, so that keys sort by them in every store.
_CLAIM = re.compile(r"(\d{6})\.json")
_RENEWAL = re.compile(r"(\d{6})-(\d{6})\.json")
_REVOCATION = re.compile(r"revoked-(\d{3,})-(\d{3})\.json")
_ROUNDS = 20
"""How often another writer may take the number first; the next round has a new one, so there is nothing to wait for."""


Written = TypeVar("Written", bound=Document)


class Claim(Document):
    """A lease as it was taken or renewed."""

    attempt: int
    until: datetime
    """It lives until then, unless it is renewed."""
    host: str
    token: str
    """Of one process: two that write the same number never write the same bytes."""


class Revocation(Document):
    """The end of an attempt's leases."""

    until: datetime
    """It holds until then: a later run of the same name begins with the same attempts again."""


@dataclass(frozen=True)
class _Standing:
    """What lies below the prefix, by name."""

    newest: int
    """Number of the newest lease; 0 if there is none."""
    renewals: dict[int, int]
    """Number of the last renewal of each lease that was renewed."""
    revocations: dict[int, int]
    """Number of the last revocation of each attempt that was revoked."""


@dataclass(frozen=True)
class Leases:
    """The leases of one step of one run and one subject, as one attempt of it sees them."""

    objects: ObjectStore
    command: StepCommand
    _token: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)

    @property
    def _prefix(self) -> str:
        command = self.command
        return leases_prefix(command.project, command.run, command.step.value, command.subject)

    def take(self) -> int:
        """
        Take the lease from whatever attempt has it.

        :return: its number.
        :raises LeaseLostError: if a newer attempt holds it.
        :raises TemporaryError: if the store does not respond.
        """
        number = 1
        for _ in range(_ROUNDS):
            # A conditional create is the one operation that both S3 and a directory decide atomically.
            if self.objects.create(lease_key(self._prefix, number), self._claim()):
                return number
            newest = self._standing().newest
            # In each round: the newer attempt may have begun since the last.
            self._refuse_newer_attempt(newest)
            # Guessed, not reserved: another writer may take it first, and the next round looks again.
            number = newest + 1
        message = f"The lease of {self._name} was taken by others {_ROUNDS} times. Run it again."
        raise TemporaryError(message)

    def renew(self, number: int, renewal: int) -> None:
        """
        Extend the lease.

        :param renewal: from 1, one more each time.
        """
        self.objects.create(renewal_key(self._prefix, number, renewal), self._claim())

    def look(self, number: int, *, is_undoing: bool = False) -> None:
        """
        Look whether a lease still holds.

        :param is_undoing: the attempt only takes back what it did, which it may as long as nobody took over.
        :raises LeaseLostError: if it does not.
        :raises TemporaryError: if the store does not respond.
        """
        standing = self._standing()
        # A number decides, not a time: clocks of two machines differ.
        if standing.newest > number:
            by = self._read(lease_key(self._prefix, standing.newest), Claim)
            message = f"Attempt {by.attempt} on {by.host} took over {self._name}, so this one, attempt "
            raise LeaseLostError(f"{message}{self.command.attempt}, publishes nothing.")
        if not is_undoing and self._is_revoked(standing):
            raise LeaseLostError(
                f"Attempt {self.command.attempt} of {self._name} was called off: it publishes nothing."
            )

    def revoke(self) -> None:
        """End the leases that this attempt has or takes within a day; once is enough, twice does no harm."""
        attempt = self.command.attempt
        until = datetime.now(UTC) + timedelta(seconds=REVOKED_SECONDS)
        data = canonical_json(Revocation(until=until).model_dump(mode="json"))
        for _ in range(_ROUNDS):
            standing = self._standing()
            if self._is_revoked(standing):
                return
            number = standing.revocations.get(attempt, 0) + 1
            if self.objects.create(revocation_key(self._prefix, attempt, number), data):
                return
        raise TemporaryError(f"Attempt {attempt} of {self._name} was called off by others {_ROUNDS} times.")

    @property
    def _name(self) -> str:
        command = self.command
        return f"{command.step.value} of {command.project} {command.subject} in run '{command.run}'"

    def _claim(self) -> bytes:
        claim = Claim(
            attempt=self.command.attempt,
            until=datetime.now(UTC) + timedelta(seconds=LEASE_SECONDS),
            host=socket.gethostname(),
            token=self._token,
        )
        return canonical_json(claim.model_dump(mode="json"))

    def _refuse_newer_attempt(self, newest: int) -> None:
        """An attempt whose start was late finds a newer one at work; what is left of one long gone does not count."""
        claim = self._read(lease_key(self._prefix, newest), Claim)
        if claim.attempt <= self.command.attempt:
            return
        standing = self._standing()
        renewal = standing.renewals.get(newest)
        last = self._read(renewal_key(self._prefix, newest, renewal), Claim) if renewal else claim
        # The only comparison of clocks: a wrong one delays a retry, and never lets two attempts publish.
        if last.until > datetime.now(UTC) and not self._is_revoked(standing, claim.attempt):
            message = f"Attempt {claim.attempt} on {claim.host} works on {self._name}, so this one, attempt "
            raise LeaseLostError(f"{message}{self.command.attempt}, does not begin.")

    def _is_revoked(self, standing: _Standing, attempt: int | None = None) -> bool:
        of = self.command.attempt if attempt is None else attempt
        number = standing.revocations.get(of)
        if number is None:
            return False
        return self._read(revocation_key(self._prefix, of, number), Revocation).until > datetime.now(UTC)

    def _standing(self) -> _Standing:
        newest, renewals, revocations = 0, dict[int, int](), dict[int, int]()
        # One listing: three would show three moments, and each costs a request on S3.
        for key in self.objects.list(self._prefix):
            name = key.removeprefix(self._prefix)
            if claim := _CLAIM.fullmatch(name):
                newest = max(newest, int(claim[1]))
            elif renewal := _RENEWAL.fullmatch(name):
                renewals[int(renewal[1])] = max(renewals.get(int(renewal[1]), 0), int(renewal[2]))
            elif revocation := _REVOCATION.fullmatch(name):
                revocations[int(revocation[1])] = max(revocations.get(int(revocation[1]), 0), int(revocation[2]))
        return _Standing(newest, renewals, revocations)

    def _read(self, key: str, kind: type[Written]) -> Written:
        try:
            return kind.model_validate_json(self.objects.get(key))
        except ValidationError as error:
            message = f"{key} is no document of a lease: {foreign(error)} Remove it and run the step again."
            raise TemporaryError(message) from error


def revoke(objects: ObjectStore, command: StepCommand) -> None:
    """
    Call off one attempt of a step: whatever of it still lives publishes nothing any more.

    :param command: project, run, step, subject and attempt of it count.
    :raises TemporaryError: if the store does not respond.
    """
    Leases(objects, command).revoke()
