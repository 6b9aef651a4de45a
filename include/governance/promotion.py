"""A version made champion: traffic, alias and ledger, in this order; a failure is written into the ledger as well."""

from dataclasses import dataclass
from datetime import UTC, datetime

from include.contract.receipt import Json, ObjectState
from include.errors import PlatformError
from include.governance.ledger import Ledger, LedgerEvent, LedgerNote, LedgerVersion, LedgerWho
from include.governance.rollout import RolledOut, Rollout
from include.governance.versions import SealedVersion, champion
from include.runtime.events import EventLog
from include.spec.execution import ServingSpec
from include.stores.installation import Stores
from include.stores.serving.settings import Placement, ServingSettings


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """A version that is to be champion, and what is written down of it."""

    version: SealedVersion
    spec: ServingSpec
    who: LedgerWho
    why: str
    evidence: Json


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """A version that is champion."""

    before: LedgerVersion | None
    """The champion until then."""
    entry: ObjectState
    """The ledger's entry."""
    rolled_out: RolledOut


def promote(stores: Stores, events: EventLog, promotion: Promotion) -> Promoted:
    """
    Give a version the traffic and make it champion; done again after a kill, it goes on where it was.

    :raises PlatformError: if anything fails; traffic and champion are then where they were, and the ledger holds
        the reason.
    """
    version = promotion.version
    ledger = Ledger(stores.objects, version.project, version.model)
    # Alias and ledger are read before anything moves: both are needed to name the champion until then.
    before, recorded = champion(stores.registry, version.model), ledger.champion()
    after = LedgerVersion(version=version.version, digest=version.digest)
    # An attempt that was killed after it moved the alias left no entry: the ledger then knows who was champion before.
    old = recorded if before is not None and before.version == version.version else _ledger_version(before)
    rollout = Rollout(
        stores=stores,
        events=events,
        version=version,
        settings=serving_settings(promotion.spec),
        placement=placement(promotion.spec, version),
    )
    try:
        rolled_out = rollout.run(expected=None if before is None else before.version)
    except PlatformError as error:
        failed = f"{promotion.why}; not promoted: {error}"
        ledger.append(_note(promotion, LedgerEvent.FAILED, failed, old), datetime.now(UTC))
        raise
    # An attempt that was killed after this entry must not write a second one.
    entry = ledger.last_promotion() if recorded == after else None
    if entry is None:
        note = _note(promotion, LedgerEvent.PROMOTED, promotion.why, old)
        entry = ledger.append(note, datetime.now(UTC))
    events.emit("champion", model=version.model, version=version.version, ledger=entry.name)
    return Promoted(before=old, entry=entry, rolled_out=rolled_out)


def serving_settings(spec: ServingSpec) -> ServingSettings:
    """The spec's limits of the model server."""
    return ServingSettings(
        request_bytes_at_most=spec.request_bytes_at_most,
        batch_rows_at_most=spec.batch_rows_at_most,
        drain_seconds=spec.drain.total_seconds(),
    )


def placement(spec: ServingSpec, version: SealedVersion) -> Placement:
    """The version's share of a cluster, and where its bundle lies."""
    return Placement(
        artifact=version.artifact,
        replicas_at_least=spec.replicas_at_least,
        replicas_at_most=spec.replicas_at_most,
        cpu=spec.cpu,
        memory=spec.memory,
    )


def _note(promotion: Promotion, event: LedgerEvent, why: str, before: LedgerVersion | None) -> LedgerNote:
    after = LedgerVersion(version=promotion.version.version, digest=promotion.version.digest)
    return LedgerNote(event=event, who=promotion.who, why=why, before=before, after=after, evidence=promotion.evidence)


def _ledger_version(version: SealedVersion | None) -> LedgerVersion | None:
    return None if version is None else LedgerVersion(version=version.version, digest=version.digest)
