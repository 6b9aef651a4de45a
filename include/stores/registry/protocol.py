"""The model registry as steps use it; a method that fails for a reason outside raises an error of the tree."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from include.contract.receipt import TableState


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One registered version of a model."""

    name: str
    version: int
    run_id: str
    tags: Mapping[str, str]


class RunStatus(StrEnum):
    """Where a run stands."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


@dataclass(frozen=True, kw_only=True)
class ModelRun:
    """One run of a training as the registry knows it."""

    run_id: str
    status: RunStatus
    tags: Mapping[str, str]
    ended_ms: int | None
    """When it ended, in milliseconds since 1970; none while it is running."""


@dataclass(frozen=True, kw_only=True)
class UsedData:
    """One partition of a table that a run read, and what for."""

    state: TableState
    role: str
    """``train``, ``validation`` or ``test``."""


class RegistryStore(Protocol):
    """The model registry: runs, their artifacts, versions and aliases."""

    def start_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """
        Begin a run; the experiment is created if need be.

        :return: id of the run, which is RUNNING until it is ended.
        """

    def end_run(self, run_id: str, status: RunStatus) -> None:
        """Record how a run ended."""

    def runs(self, experiment: str, tags: Mapping[str, str]) -> list[ModelRun]:
        """All runs that have all these tags, however they stand, in the order of their ends; running ones last."""

    def log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        """Add parameters to a run."""

    def log_datasets(self, run_id: str, datasets: Sequence[UsedData]) -> None:
        """Record what a run read."""

    def log_model(self, run_id: str, folder: Path) -> None:
        """Add a folder in MLflow's model format as the run's artifact ``model``."""

    def run_url(self, run_id: str) -> str:
        """Where a person finds the run."""

    def find_run(self, experiment: str, tags: Mapping[str, str]) -> str | None:
        """Id of the one finished run that has all these tags; the one that finished first, should there be more."""

    def download(self, run_id: str, artifact: str, folder: Path) -> Path:
        """
        Fetch an artifact (a file or a folder) of a run.

        :raises DataRejectedError: if the run or the artifact is gone.
        :raises TemporaryError: if the registry does not answer.
        """

    def metrics(self, run_id: str) -> Mapping[str, float]:
        """Last value of each metric of a run."""

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a finished run."""

    def log_files(self, run_id: str, folder: Path, artifact: str) -> None:
        """Add files to a run's artifacts under a path."""

    def versions(self, model: str, tags: Mapping[str, str]) -> Iterable[ModelVersion]:
        """Versions of a model that have all these tags, oldest first."""

    def register(self, model: str, run_id: str, source: str, tags: Mapping[str, str]) -> ModelVersion:
        """
        Create one version of a model, created if need be, and tag it.

        :param source: URI of what was registered.
        """

    def set_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Tag a version; a tag that it has already gets the new value."""

    def version(self, model: str, version: int) -> ModelVersion | None:
        """One version; None if there is none."""

    def alias(self, model: str, alias: str) -> ModelVersion | None:
        """The version that an alias names; None if it names none."""

    def move_alias(self, model: str, alias: str, *, expected: int | None, to: int) -> None:
        """
        Let an alias name another version, if it still names the expected one (None: no version).

        :raises TemporaryError: if somebody moved it in the meantime.
        """
