"""The traffic and the champion moved to a version together, or neither."""

import time

from include.errors import DataRejectedError, PlatformError, TemporaryError
from include.steps.context import StepContext
from include.stores.metrics import MetricName
from include.stores.model_files import PARITY_TOLERANCE, Bundle, GoldenTable, largest_difference
from include.stores.serving import ServedAnswer, ServingStore
from include.stores.serving_control import ModelRecord
from include.stores.serving_settings import ServingSettings
from include.stores.serving_versions import CHAMPION, SealedVersion

PATIENCE_SECONDS = 90.0
"""How long a server may take to answer at all."""
_PAUSE_SECONDS = 0.5


class Rollout:
    """Moves the traffic and the alias to a version, or neither."""

    def __init__(self, context: StepContext, version: SealedVersion, settings: ServingSettings) -> None:
        self._context, self._version, self._settings = context, version, settings
        self._serving = context.stores.serving

    def run(self, *, expected: int | None) -> str:
        """
        Serve the version and make it champion.

        :param expected: the version that is champion now; None if there is none.
        :return: the public address.
        :raises PlatformError: if anything fails; traffic and alias are then where they were.
        """
        bundle = self._version.bundle(self._context.stores.objects)
        status = self._serving.status()
        record = record_of_version(self._version)
        is_active = status.active is not None and record.is_same(status.active)
        if not is_active:
            self._start(bundle, record)
        try:
            self._check(bundle, self._serving.status().public_url)
            self._move_alias(expected)
        except PlatformError:
            if not is_active:
                self._serving.rollback(record)
            raise
        return status.public_url

    def _start(self, bundle: Bundle, record: ModelRecord) -> None:
        events = self._context.events
        candidate = self._serving.start(bundle, self._version.version, self._settings)
        events.emit("started beside the old one", url=candidate.url, version=self._version.version)
        try:
            self._check(bundle, candidate.url or "")
            self._serving.activate(record)
        except PlatformError:
            self._serving.discard(record)
            raise
        events.emit("traffic moved", version=self._version.version)
        self._context.stores.metrics.count(MetricName.MODEL_DEPLOYED)

    def _check(self, bundle: Bundle, url: str) -> None:
        """The golden rows over HTTP: same predictions as in training, from the process that should answer."""
        golden = bundle.golden()
        answer = patient_answer(self._serving, url, golden.rows)
        if answer.digest != bundle.digest:
            message = f"{url} is answered by {answer.digest or 'something else'}, not by bundle {bundle.digest}."
            raise TemporaryError(f"{message} Run the step again.")
        gap = largest_difference(golden.predictions, answer.predictions)
        if gap > PARITY_TOLERANCE:
            message = (
                f"{url} answers the golden rows differently than the model did in training: by {gap:.3g}, allowed "
                f"{PARITY_TOLERANCE:g}."
            )
            raise DataRejectedError(message)

    def _move_alias(self, expected: int | None) -> None:
        registry, version = self._context.stores.registry, self._version
        if expected != version.version:
            registry.move_alias(version.model, CHAMPION, expected=expected, to=version.version)
        now = registry.alias(version.model, CHAMPION)
        if now is None or now.version != version.version:
            found = "none" if now is None else now.version
            message = f"Alias '{CHAMPION}' of model '{version.model}' names version {found} after it was moved to "
            raise TemporaryError(f"{message}{version.version}: somebody else moved it. Run the step again.")


def patient_answer(serving: ServingStore, url: str, rows: GoldenTable) -> ServedAnswer:
    """Ask again while the server does not answer: one that was just restarted brings its active version back."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return serving.answer(url, rows)
        except TemporaryError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def record_of_version(version: SealedVersion) -> ModelRecord:
    """A version as the model server names it."""
    return ModelRecord(project=version.project, model=version.model, version=version.version, digest=version.digest)
