"""A model server in memory: what tests and notebooks use in the place of processes."""

from dataclasses import dataclass, field
from typing import Any

from include.errors import DataRejectedError, TemporaryError
from include.packaging.files import PARITY_TOLERANCE, Bundle, GoldenTable, largest_difference
from include.stores.serving.control import ModelRecord, ServingStatus, record_of
from include.stores.serving.http import ServedPredictions
from include.stores.serving.settings import ANYWHERE, Placement, ServingSettings

PUBLIC_URL = "memory://public"


@dataclass(frozen=True)
class _Loaded:
    record: ModelRecord
    bundle: Bundle
    model: Any


@dataclass
class MemoryServing:
    """Models of this process; see :class:`~include.stores.serving.protocol.ServingStore`."""

    active: _Loaded | None = None
    previous: _Loaded | None = None
    older: _Loaded | None = None
    candidate: _Loaded | None = None
    started: list[int] = field(default_factory=list)
    """Versions that were started, in order."""

    def status(self, project: str, model: str) -> ServingStatus:  # noqa: ARG002 (it has one model)
        """What the server has."""
        return self._status()

    def _status(self) -> ServingStatus:
        members = {"active": self.active, "previous": self.previous, "candidate": self.candidate}
        records = {name: loaded.record for name, loaded in members.items() if loaded is not None}
        return ServingStatus(public_url=PUBLIC_URL, **records)

    def start(
        self,
        bundle: Bundle,
        version: int,
        settings: ServingSettings,  # noqa: ARG002
        placement: Placement = ANYWHERE,  # noqa: ARG002
    ) -> ModelRecord:
        """Load a version; its golden rows are replayed, as a server's worker does."""
        url = f"memory://candidate/{version}"
        record = record_of(bundle, version).model_copy(update={"url": url})
        loaded, golden = _Loaded(record, bundle, bundle.load()), bundle.golden()
        # Before the check: the supervisor, too, ends the old candidate before it starts the new one.
        self.candidate = None
        if largest_difference(golden.predictions, _predict(loaded, golden.rows)) > PARITY_TOLERANCE:
            message = (
                f"The model of bundle {bundle.digest} answers its golden rows differently than it did in training."
            )
            raise DataRejectedError(message)
        self.candidate = loaded
        self.started.append(version)
        return record

    def activate(self, record: ModelRecord) -> ServingStatus:
        """Give the candidate the traffic."""
        if self.candidate is None and self.active is not None and record.is_same(self.active.record):
            return self._status()
        if self.candidate is None or not record.is_same(self.candidate.record):
            raise TemporaryError(f"Version {record.version} ({record.digest}) was not started; start it first.")
        self.active, self.previous, self.older = self.candidate, self.active, self.previous
        self.candidate = None
        return self._status()

    def discard(self, record: ModelRecord) -> None:
        """End the candidate, if it is this one."""
        if self.candidate is not None and record.is_same(self.candidate.record):
            self.candidate = None

    def rollback(self, record: ModelRecord) -> ServingStatus:
        """Give the traffic back to what had it before this version."""
        if self.active is None or not record.is_same(self.active.record):
            message = f"Version {record.version} ({record.digest}) is not the active one; nothing was changed."
            raise TemporaryError(message)
        self.active, self.previous, self.older = self.previous, self.older, None
        return self._status()

    def settle(self, record: ModelRecord) -> None:
        """Forget what came before the version before this one."""
        if self.active is not None and record.is_same(self.active.record):
            self.older = None

    def predict(self, url: str, rows: GoldenTable) -> ServedPredictions:
        """Predict with the model behind an address."""
        members = (self.active, self.previous, self.candidate)
        by_url = {loaded.record.url: loaded for loaded in members if loaded is not None}
        loaded = self.active if url == PUBLIC_URL else by_url.get(url)
        if loaded is None:
            raise TemporaryError(f"The model server does not answer at {url}: no model is there.")
        return ServedPredictions(_predict(loaded, rows), str(loaded.record.version), loaded.record.digest)


def _predict(loaded: _Loaded, rows: GoldenTable) -> list[Any]:
    import pandas as pd

    manifest = loaded.bundle.manifest
    missing = [column.name for column in manifest.inputs if column.required and column.name not in rows.columns]
    if missing:
        raise DataRejectedError(f"The model server refuses the rows: the model requires column '{missing[0]}'.")
    frame = pd.DataFrame(rows.data, columns=rows.columns)
    for column in manifest.inputs:
        if column.type in ("float", "double"):
            frame[column.name] = frame[column.name].astype("float64")
        elif column.type == "string":
            frame[column.name] = frame[column.name].astype("str")
    predictions: list[Any] = getattr(loaded.model, manifest.predict)(frame[[c.name for c in manifest.inputs]]).tolist()
    return predictions
