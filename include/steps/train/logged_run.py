"""
The MLflow run of a training: one finished run for one identity of the work, even if attempts are killed (ADR 11).

A run carries the identity in a tag. An attempt takes over the result of a finished run of that identity; unfinished
runs of an earlier attempt are marked as killed. The result is a document among the run's artifacts that is written
before the run is finished, so that a finished run is complete.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from include.contract.digest import digest_of
from include.contract.document import Document
from include.contract.receipt import ModelState, State
from include.contract.results import TrainResults
from include.errors import DataRejectedError, PlatformError, TemporaryError, foreign
from include.runtime.context import StepContext, Work
from include.stores.registry.protocol import ModelRun, RegistryStore, RunStatus
from include.stores.registry.run_files import MODEL_ARTIFACT, fetched

KEY_TAG = "platform.training_key"
RECORD_FOLDER, RECORD_FILE = "training", "training.json"
RECORD_FORMAT: Literal[2] = 2
"""Format 1 had no number, and results without the step's word."""


class TrainingRecord(Document):
    """The work of the train step, as its receipt will hold it; an artifact of the run."""

    format: Literal[2]
    outputs: tuple[State, ...]
    row_counts: dict[str, int]
    results: TrainResults


@dataclass(frozen=True)
class LoggedRun:
    """Finds, starts and finishes the run of one identity of the work."""

    context: StepContext
    key: str
    """Identity of the work."""

    @property
    def registry(self) -> RegistryStore:
        """The installation's registry."""
        return self.context.stores.registry

    @property
    def experiment(self) -> str:
        """MLflow's experiment: one a project."""
        return self.context.spec.name

    def finished(self) -> Work | None:
        """
        The result of an earlier attempt, if it finished its run and the model file is unchanged.

        Abandoned runs are marked: killed if they were not finished, failed if their model is gone.
        """
        for run in self._runs():
            if run.status is RunStatus.FINISHED:
                work = self._work_of(run)
                if work is not None:
                    self.context.events.emit("an earlier attempt had finished the run", run_id=run.run_id)
                    return work
                self.registry.end_run(run.run_id, RunStatus.FAILED)
            # MLflow does not notice that a process is gone: its run stays "running" for ever. Whoever was at work on
            # it has lost the lease, which this attempt holds.
            elif run.status is RunStatus.RUNNING:
                self.context.events.warn(
                    "a run that an earlier attempt left behind was marked as killed", run_id=run.run_id
                )
                self.registry.end_run(run.run_id, RunStatus.KILLED)
        return None

    def start(self) -> str:
        """
        Start a run.

        :return: its id.
        """
        command, spec = self.context.command, self.context.spec
        tags = {
            KEY_TAG: self.key,
            "platform.project": spec.name,
            "platform.model": spec.model.name,
            "platform.partition": command.partition,
            "platform.run": command.run,
            "platform.attempt": str(command.attempt),
            "platform.features": spec.feature_set.table,
            "platform.code": self.context.code,
        }
        return self.registry.start_run(self.experiment, f"{spec.model.name} {command.partition}", tags)

    @contextmanager
    def failing(self, run_id: str) -> Iterator[None]:
        """Mark the run as failed if the block raises an error of the platform."""
        try:
            yield
        except PlatformError:
            self._mark_failed(run_id)
            raise

    def finish(self, run_id: str, work: Work) -> Work:
        """
        Record the result and finish the run, unless a concurrent attempt did so first.

        :return: the result that counts: this one, or that of the attempt that finished first.
        :raises TemporaryError: if another attempt ended this run, as it took its process for dead.
        """
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / RECORD_FILE).write_bytes(_record(work))
            self.registry.log_files(run_id, Path(folder), RECORD_FOLDER)
        mine = next((run for run in self._runs() if run.run_id == run_id), None)
        if mine is None or mine.status is not RunStatus.RUNNING:
            message = f"Run {run_id} was ended by another attempt at the same training. Run the step again."
            raise TemporaryError(message)
        self.registry.end_run(run_id, RunStatus.FINISHED)
        # MLflow has no compare-and-set: two attempts may finish at once. The run that ended first counts.
        first = next((run for run in self._runs() if run.status is RunStatus.FINISHED), mine)
        if first.run_id == run_id:
            return work
        self.registry.end_run(run_id, RunStatus.KILLED)
        return self._work_of(first) or work

    def _runs(self) -> list[ModelRun]:
        return self.registry.runs(self.experiment, {KEY_TAG: self.key})

    def _work_of(self, run: ModelRun) -> Work | None:
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = self.registry.download(run.run_id, f"{RECORD_FOLDER}/{RECORD_FILE}", Path(folder))
                work = _work(path.read_bytes())
        except DataRejectedError as error:
            self.context.events.warn("a finished run cannot be taken over", run_id=run.run_id, reason=str(error))
            return None
        return work if model_unchanged(self.registry, work.outputs) else None

    def _mark_failed(self, run_id: str) -> None:
        try:
            if any(run.run_id == run_id and run.status is RunStatus.RUNNING for run in self._runs()):
                self.registry.end_run(run_id, RunStatus.FAILED)
        except PlatformError as error:
            # The error that is being raised is the cause; the next attempt marks the run.
            self.context.events.warn("the run could not be marked as failed", run_id=run_id, reason=str(error))


def model_unchanged(registry: RegistryStore, outputs: Sequence[State]) -> bool:
    """Whether the model file of each run still has the digest of its state."""
    models = [state for state in outputs if isinstance(state, ModelState)]
    try:
        return all(digest_of(fetched(registry, state.run_id, MODEL_ARTIFACT)) == state.digest for state in models)
    except DataRejectedError:
        return False


def _record(work: Work) -> bytes:
    record = TrainingRecord(
        format=RECORD_FORMAT, outputs=work.outputs, row_counts=dict(work.row_counts), results=work.results
    )
    return json.dumps(record.model_dump(mode="json"), sort_keys=True, indent=1).encode()


def _work(content: bytes) -> Work:
    try:
        record = TrainingRecord.model_validate_json(content)
    except ValidationError as error:
        message = (
            f"{RECORD_FILE} of a run is not of format {RECORD_FORMAT}: {foreign(error)} The model is trained again."
        )
        raise DataRejectedError(message) from error
    return Work(outputs=record.outputs, row_counts=record.row_counts, results=record.results)
