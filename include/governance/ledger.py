"""
The ledger of a model: one numbered, write-once entry for each promotion and each promotion that failed.

Every entry holds the digest of the entry before it, so that none can be changed or removed unnoticed. The ledger alone
shows what is champion.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import ValidationError

from include.contract.digest import digest_of
from include.contract.document import Document
from include.contract.layout import ledger_key, ledger_prefix
from include.contract.receipt import Json, ObjectState, canonical_json
from include.errors import DataRejectedError, TemporaryError, foreign
from include.stores.objects.protocol import ObjectStore

# Writers are few: the deployments of one model, and a person who rolls it back.
_ATTEMPTS = 20


class LedgerEvent(StrEnum):
    """What an entry records."""

    PROMOTED = "promoted"
    FAILED = "failed"


class LedgerVersion(Document):
    """A version of the model."""

    version: int
    digest: str


class LedgerWho(Document):
    """Who moved the champion: a run, and where its step ran."""

    run: str
    attempt: int
    host: str
    person: str | None = None
    """Who requested it, where a person did."""


class LedgerNote(Document):
    """What is to be written down."""

    event: LedgerEvent
    who: LedgerWho
    why: str
    before: LedgerVersion | None
    """The champion until then."""
    after: LedgerVersion
    """The version that became champion, or would have."""
    evidence: Json


class LedgerEntry(Document):
    """One entry."""

    format: Literal[1] = 1
    project: str
    model: str
    number: int
    """From 1, without gaps."""
    chain: str | None
    """Digest of the bytes of the entry before; null for the first."""
    at: datetime
    note: LedgerNote


class Ledger:
    """The entries of one model."""

    def __init__(self, objects: ObjectStore, project: str, model: str) -> None:
        self._objects, self._project, self._model = objects, project, model

    def entries(self) -> list[LedgerEntry]:
        """
        All entries, oldest first, after a look at their chain.

        :raises DataRejectedError: if an entry is missing, changed or no entry.
        """
        return [entry for entry, _ in self._read()]

    def champion(self) -> LedgerVersion | None:
        """The version that the last promotion made champion; None before the first."""
        promotions = [entry for entry in self.entries() if entry.note.event is LedgerEvent.PROMOTED]
        return promotions[-1].note.after if promotions else None

    def last_promotion(self) -> ObjectState | None:
        """The entry of the last promotion; None before the first."""
        promotions = [(entry, data) for entry, data in self._read() if entry.note.event is LedgerEvent.PROMOTED]
        return self._state(*promotions[-1]) if promotions else None

    def append(self, note: LedgerNote, at: datetime) -> ObjectState:
        """
        Add an entry.

        :raises DataRejectedError: if the ledger is damaged.
        :raises TemporaryError: if others kept adding entries.
        """
        for _ in range(_ATTEMPTS):
            known = self._read()
            chain = digest_of(known[-1][1]) if known else None
            number = len(known) + 1
            entry = LedgerEntry(project=self._project, model=self._model, number=number, chain=chain, at=at, note=note)
            # The chain is over bytes: one entry must always be written the same.
            data = canonical_json(entry.model_dump(mode="json"))
            # False where another writer took the number: the next round reads its entry and chains to it.
            if self._objects.create(ledger_key(self._project, self._model, number), data):
                return self._state(entry, data)
        message = f"The ledger of model '{self._model}' was written to by others {_ATTEMPTS} times; run the step again."
        raise TemporaryError(message)

    def _read(self) -> list[tuple[LedgerEntry, bytes]]:
        entries: list[tuple[LedgerEntry, bytes]] = []
        for number, key in enumerate(self._objects.list(ledger_prefix(self._project, self._model)), start=1):
            data = self._objects.get(key)
            entry = self._parse(key, data)
            chain = digest_of(entries[-1][1]) if entries else None
            # All three: a missing file shifts the number, an exchanged one its own number, a changed one the chain.
            if key != ledger_key(self._project, self._model, number) or entry.number != number or entry.chain != chain:
                message = f"Ledger entry {key} does not follow the one before: an entry was changed or taken out."
                raise DataRejectedError(f"{message} Restore the ledger from a copy; nothing is promoted until then.")
            entries.append((entry, data))
        return entries

    def _state(self, entry: LedgerEntry, data: bytes) -> ObjectState:
        key = ledger_key(self._project, self._model, entry.number)
        return ObjectState(name=key, digest=digest_of(data), size_bytes=len(data))

    def _parse(self, key: str, data: bytes) -> LedgerEntry:
        try:
            return LedgerEntry.model_validate_json(data)
        except ValidationError as error:
            raise DataRejectedError(f"Ledger entry {key} cannot be read: {foreign(error)} Restore it.") from error
