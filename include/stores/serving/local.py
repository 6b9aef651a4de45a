"""The supervisor on this machine, over its control socket."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from include.errors import TemporaryError
from include.packaging.files import Bundle, GoldenTable, write_bundle
from include.stores.serving.control import (
    ActivateCommand,
    DiscardCommand,
    ModelRecord,
    RollbackCommand,
    ServingStatus,
    StartCommand,
    StatusCommand,
    record_of,
    send,
)
from include.stores.serving.http import ServedPredictions, post_directly, request_predictions
from include.stores.serving.settings import ANYWHERE, Placement, ServingSettings

_STATUS_SECONDS = 30.0
# A switch ends the version before the previous, which may drain for as long as its settings allow.
_SWITCH_SECONDS = 240.0
# Longer than the supervisor itself waits for a worker (180 s), so that its reason arrives.
_START_SECONDS = 300.0


@dataclass(frozen=True)
class LocalServing:
    """The supervisor on this machine; see :class:`~include.stores.serving.protocol.ServingStore`."""

    control: Path
    """Its control socket."""

    def status(self, project: str, model: str) -> ServingStatus:  # noqa: ARG002 (it has one model)
        """What the server has."""
        return send(self.control, StatusCommand(), timeout_seconds=_STATUS_SECONDS)

    def start(
        self,
        bundle: Bundle,
        version: int,
        settings: ServingSettings,
        placement: Placement = ANYWHERE,  # noqa: ARG002 (it is one process on this machine)
    ) -> ModelRecord:
        """Start a version beside the active one."""
        record = record_of(bundle, version)
        with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
            write_bundle(bundle, Path(folder))
            command = StartCommand(folder=Path(folder), record=record, settings=settings)
            candidate = send(self.control, command, timeout_seconds=_START_SECONDS).candidate
        # Another deployment may have put its own candidate in the place of this one.
        if candidate is None or not candidate.is_same(record) or candidate.url is None:
            message = f"Version {version} of '{record.model}' ended just after its start; see the model server's log."
            raise TemporaryError(message)
        return candidate

    def activate(self, record: ModelRecord) -> ServingStatus:
        """Give the candidate the traffic."""
        return send(self.control, ActivateCommand(record=record), timeout_seconds=_SWITCH_SECONDS)

    def discard(self, record: ModelRecord) -> None:
        """End the candidate, if it is this one."""
        send(self.control, DiscardCommand(record=record), timeout_seconds=_SWITCH_SECONDS)

    def rollback(self, record: ModelRecord) -> ServingStatus:
        """Give the traffic back to what had it before this version."""
        return send(self.control, RollbackCommand(record=record), timeout_seconds=_START_SECONDS)

    def settle(self, record: ModelRecord) -> None:
        """Nothing to do: the supervisor ends what it keeps no longer by itself."""

    def predict(self, url: str, rows: GoldenTable) -> ServedPredictions:
        """Request predictions as any client does."""
        return request_predictions(url, rows, post_directly)
