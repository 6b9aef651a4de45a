"""The traffic and the champion moved to a version together, or neither."""

from dataclasses import dataclass

from include.contract.layout import mutex_prefix
from include.coordination.mutex import mutex
from include.errors import DataRejectedError, PlatformError, TemporaryError
from include.governance.versions import CHAMPION, SealedVersion
from include.packaging.files import PARITY_TOLERANCE, Bundle, GoldenTable, largest_difference
from include.runtime.events import EventLog
from include.stores.installation import Stores
from include.stores.metrics.names import MetricLabels, MetricName
from include.stores.retry import Backoff, retried
from include.stores.serving.control import ModelRecord
from include.stores.serving.http import ServedPredictions
from include.stores.serving.protocol import ServingStore
from include.stores.serving.settings import Placement, ServingSettings

RESPONSE_SECONDS = 90.0
"""How long a server may take to respond at all: one that was just restarted brings its active version back."""
_BACKOFF = Backoff(first_seconds=0.5, longest_seconds=0.5)


@dataclass(frozen=True, kw_only=True)
class RolledOut:
    """A version that has the traffic."""

    public_url: str
    bundle_by: str | None
    """How its bundle got to its processes, where there is more than one method."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Moves the traffic and the alias to a version, or neither."""

    stores: Stores
    events: EventLog
    version: SealedVersion
    settings: ServingSettings
    placement: Placement

    def run(self, *, expected: int | None) -> RolledOut:
        """
        Serve the version and make it champion.

        :param expected: the version that is champion now; None if there is none.
        :raises PlatformError: if anything fails; traffic and alias are then where they were.
        """
        # First: a bundle with a damaged file must fail before anything is started.
        bundle = self.version.bundle(self.stores.objects)
        record = record_of_version(self.version)
        serving = self.stores.serving
        status = serving.status(record.project, record.model)
        # A killed attempt may have moved the traffic already: then only the alias is left to move.
        is_active = status.active is not None and record.is_same(status.active)
        if not is_active:
            self._start(bundle, record)
        try:
            status = serving.status(record.project, record.model)
            # Once more at the public address: what clients reach is what counts, not the candidate's private one.
            self._check(bundle, status.public_url)
            self._move_alias(expected)
        except PlatformError:
            if not is_active:
                # The alias has not moved, so the traffic goes back: champion and traffic never differ for long.
                serving.rollback(record)
            raise
        # Last: until the alias has moved, a rollback needs the versions that this removes.
        serving.settle(record)
        return RolledOut(public_url=status.public_url, bundle_by=status.active.bundle_by if status.active else None)

    def _start(self, bundle: Bundle, record: ModelRecord) -> None:
        serving = self.stores.serving
        candidate = serving.start(bundle, self.version.version, self.settings, self.placement)
        extra = {"bundle_by": candidate.bundle_by} if candidate.bundle_by else {}
        self.events.emit("started beside the old one", url=candidate.url, version=self.version.version, **extra)
        try:
            self._check(bundle, candidate.url or "")
            serving.activate(record)
        except PlatformError:
            serving.discard(record)
            raise
        self.events.emit("traffic moved", version=self.version.version)
        self.stores.metrics.count(MetricName.MODEL_DEPLOYED, MetricLabels(record.project, record.model))

    def _check(self, bundle: Bundle, url: str) -> None:
        """The golden rows over HTTP: same predictions as in training, from the process that should serve them."""
        golden = bundle.golden()
        served = retried_predictions(self.stores.serving, url, golden.rows)
        # Equal predictions prove nothing: two models may agree on the golden rows.
        if served.digest != bundle.digest:
            message = f"{url} is served by {served.digest or 'something else'}, not by bundle {bundle.digest}."
            raise TemporaryError(f"{message} Run the step again.")
        gap = largest_difference(golden.predictions, served.predictions)
        if gap > PARITY_TOLERANCE:
            message = (
                f"{url} answers the golden rows differently than the model did in training: by {gap:.3g}, allowed "
                f"{PARITY_TOLERANCE:g}."
            )
            raise DataRejectedError(message)

    def _move_alias(self, expected: int | None) -> None:
        registry, version = self.stores.registry, self.version
        if expected != version.version:
            # The registry may compare and then set, with another deployment in between: one after the other.
            with mutex(self.stores.objects, mutex_prefix(version.project, version.model)):
                registry.move_alias(version.model, CHAMPION, expected=expected, to=version.version)
        # Read back: MLflow cannot compare and set, and writers outside the platform hold no mutex.
        now = registry.alias(version.model, CHAMPION)
        if now is None or now.version != version.version:
            current = "none" if now is None else now.version
            message = f"Alias '{CHAMPION}' of model '{version.model}' names version {current} after it was moved to "
            raise TemporaryError(f"{message}{version.version}: another writer moved it. Run the step again.")


def retried_predictions(serving: ServingStore, url: str, rows: GoldenTable) -> ServedPredictions:
    """
    The predictions for some rows; the request is repeated while the server does not respond.

    :raises TemporaryError: if it does not within ``RESPONSE_SECONDS``.
    """
    return retried(lambda: serving.predict(url, rows), seconds=RESPONSE_SECONDS, backoff=_BACKOFF)


def record_of_version(version: SealedVersion) -> ModelRecord:
    """A version as the model server names it."""
    return ModelRecord(project=version.project, model=version.model, version=version.version, digest=version.digest)
