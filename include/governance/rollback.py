"""
Back to an earlier version by hand: traffic, alias and ledger move together.

A rollback is a promotion like any other: the old version is started again where it does not run, answers its golden
rows, gets the traffic, becomes champion, and the ledger records who wanted it and why. Killed anywhere, it is run
again.
"""

import socket
from dataclasses import dataclass

from include.errors import ConfigurationError
from include.governance.ledger import Ledger, LedgerEntry, LedgerEvent, LedgerVersion, LedgerWho
from include.governance.promotion import Promoted, Promotion, promote
from include.governance.versions import version_of_bundle
from include.runtime.events import EventLog
from include.spec.project import ProjectSpec
from include.stores.installation import Stores

_ROLLBACK = "rollback"


@dataclass(frozen=True, kw_only=True)
class RollbackRequest:
    """A rollback as a person requests it."""

    who: str
    why: str
    to: int | None = None
    """The version to go back to; None for the champion before this one."""


def rollback(stores: Stores, events: EventLog, spec: ProjectSpec, request: RollbackRequest) -> Promoted:
    """
    Make an earlier champion champion again.

    :raises ConfigurationError: if it is not clear which; the message names the options.
    :raises PlatformError: if it fails; traffic and champion are then where they were, and the ledger holds the reason.
    """
    if not request.why.strip():
        raise ConfigurationError("A rollback needs a reason: --why 'what is wrong with the champion'.")
    ledger = Ledger(stores.objects, spec.name, spec.model.name)
    promotions = [entry for entry in ledger.entries() if entry.note.event is LedgerEvent.PROMOTED]
    target = _target(spec.model.name, promotions, request.to)
    # The ledger's digest, not the registry's: a version whose tags were edited since is refused.
    version = version_of_bundle(
        stores.registry, spec.model.name, target.version, target.digest, advice="Choose another with --to."
    )
    promotion = Promotion(
        version=version,
        spec=spec.serving,
        who=LedgerWho(run=_ROLLBACK, attempt=1, host=socket.gethostname(), person=request.who),
        why=request.why,
        evidence={_ROLLBACK: True},
    )
    promoted = promote(stores, events, promotion)
    events.emit(
        "rolled back", version=version.version, url=promoted.rolled_out.public_url, who=request.who, why=request.why
    )
    return promoted


def _target(model: str, promotions: list[LedgerEntry], to: int | None) -> LedgerVersion:
    known = {entry.note.after.version: entry.note.after for entry in promotions}
    if to is not None:
        if to not in known:
            versions = ", ".join(map(str, sorted(known))) or "none"
            raise ConfigurationError(f"Version {to} of model '{model}' was never champion; these were: {versions}.")
        return known[to]
    last = promotions[-1].note if promotions else None
    if last is None or last.before is None:
        raise ConfigurationError(
            f"Model '{model}' has had no champion before this one: there is nothing to go back to."
        )
    # Its "before" is the version that was rolled back from: a second rollback would go forward again.
    if last.evidence.get(_ROLLBACK):
        message = f"Version {last.after.version} of model '{model}' is champion by a rollback already"
        raise ConfigurationError(f"{message}; name the version to go to with --to.")
    return last.before
