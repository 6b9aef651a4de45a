"""The model that was champion as of a partition's beginning, from the ledger and the evidence alone."""

import hashlib
from dataclasses import dataclass

from pydantic import ValidationError

from include.contract.model_evidence import ModelEvidence
from include.contract.partition import Grain, Partition
from include.contract.results import ChampionUsed
from include.errors import DataRejectedError, NothingToDoError, foreign
from include.governance.ledger import Ledger, LedgerEntry, LedgerEvent, LedgerVersion
from include.runtime.context import StepContext
from include.stores.objects.protocol import ObjectStore

_DOCUMENT = "document"


@dataclass(frozen=True)
class ChampionAsOf:
    """A promoted version, and the last partition that it was trained on."""

    model: str
    version: int
    digest: str
    """Digest of its bundle."""
    learned_up_to: Partition
    """Last partition of its training window."""
    promotion: int
    """Number of the ledger entry that made it champion."""

    def described(self) -> ChampionUsed:
        """The champion as the receipt holds it."""
        return ChampionUsed(
            model=self.model,
            version=self.version,
            digest=self.digest,
            learned_up_to=str(self.learned_up_to),
            promotion=self.promotion,
        )


def champion_as_of(context: StepContext) -> ChampionAsOf:
    """
    The last promoted version whose training window had ended when the partition began.

    A later one was fitted on rows of the partition, or of later ones, and its predictions would leak the target.

    :raises NothingToDoError: if there is none, with the reason.
    :raises DataRejectedError: if the ledger or the evidence of a promoted version is damaged.
    """
    project, model, partition = context.spec.name, context.spec.model.name, context.partition
    entries = Ledger(context.stores.objects, project, model).entries()
    promotions = [entry for entry in entries if entry.note.event is LedgerEvent.PROMOTED]
    later: list[ChampionAsOf] = []
    # The ledger, not the registry's alias: the alias names today's champion only, and has no history.
    for entry in reversed(promotions):
        promoted = _promoted(context.stores.objects, entry, context.spec.grain)
        if promoted.learned_up_to < partition:
            return promoted
        later.append(promoted)
    raise NothingToDoError(_no_champion(model, partition, later))


def _no_champion(model: str, partition: Partition, later: list[ChampionAsOf]) -> str:
    needed = f"Train with a window that ends with {partition.shift(-1)} or earlier, and promote the model."
    if not later:
        return f"Model '{model}' has no champion yet, so partition {partition} is not scored. {needed}"
    first = min(champion.learned_up_to for champion in later)
    return (
        f"No champion of model '{model}' may score partition {partition}: the earliest one was fitted up to "
        f"{first}, and a model never scores what it may have been fitted on. {needed}"
    )


def _promoted(objects: ObjectStore, entry: LedgerEntry, grain: Grain) -> ChampionAsOf:
    evidence = _evidence(objects, entry, entry.note.after)
    return ChampionAsOf(
        model=entry.model,
        version=entry.note.after.version,
        digest=entry.note.after.digest,
        learned_up_to=Partition.parse(evidence.trained.partition, grain),
        promotion=entry.number,
    )


def _evidence(objects: ObjectStore, entry: LedgerEntry, after: LedgerVersion) -> ModelEvidence:
    """The evidence of a version, compared with the digest in its name and with the version's bundle."""
    where = f"The evidence of version {after.version} of model '{entry.model}'"
    cure = "Restore it; without it the model's training window is unknown."
    key = entry.note.evidence.get(_DOCUMENT)
    if not isinstance(key, str):
        raise DataRejectedError(f"{where} is not named by ledger entry {entry.number}. {cure}")
    content = objects.get(key)
    # The name of the document begins with its digest, so that a change to it is noticed without another store.
    if not key.rsplit("/", 1)[-1].startswith(hashlib.sha256(content).hexdigest()[:16]):
        raise DataRejectedError(f"{where}, {key}, was changed. {cure}")
    try:
        evidence = ModelEvidence.model_validate_json(content)
    except ValidationError as error:
        raise DataRejectedError(f"{where}, {key}, cannot be read: {foreign(error)} {cure}") from error
    if evidence.bundle != after.digest:
        raise DataRejectedError(f"{where}, {key}, is that of bundle {evidence.bundle}, not {after.digest}. {cure}")
    return evidence
