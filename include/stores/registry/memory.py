"""A model registry in memory: for tests and notebooks."""

import itertools
import shutil
import tempfile
import threading
import time
import uuid
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from include.errors import DataRejectedError, TemporaryError
from include.stores.registry.protocol import ModelRun, ModelVersion, RunStatus, UsedData

SOURCE_TAG = "platform.source"


@dataclass
class _Run:
    experiment: str
    name: str
    state: ModelRun
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    datasets: list[UsedData] = field(default_factory=list)


class MemoryRegistry:
    """Runs, versions and aliases in memory, artifacts in a temporary folder that goes with the object."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="registry-"))
        # Not __del__: it is not called at the interpreter's end, and the folder would stay.
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._runs: dict[str, _Run] = {}
        self._versions: dict[str, list[ModelVersion]] = {}
        self._aliases: dict[tuple[str, str], int] = {}
        # Counts from now: ends of two runs in one millisecond would have no order.
        self._clock = itertools.count(int(time.time() * 1000))
        self._lock = threading.Lock()

    def start_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """Begin a run; see ``RegistryStore``."""
        run_id = uuid.uuid4().hex
        state = ModelRun(run_id=run_id, status=RunStatus.RUNNING, tags=dict(tags), ended_ms=None)
        self._runs[run_id] = _Run(experiment, name, state)
        return run_id

    def end_run(self, run_id: str, status: RunStatus) -> None:
        """Record how a run ended."""
        run = self._run(run_id)
        run.state = replace(run.state, status=status, ended_ms=next(self._clock))

    def runs(self, experiment: str, tags: Mapping[str, str]) -> list[ModelRun]:
        """All runs that have all these tags; see ``RegistryStore``."""
        states = [run.state for run in self._runs.values() if run.experiment == experiment]
        chosen = [state for state in states if tags.items() <= state.tags.items()]
        return sorted(chosen, key=lambda state: (state.ended_ms is None, state.ended_ms or 0, state.run_id))

    def find_run(self, experiment: str, tags: Mapping[str, str]) -> str | None:
        """Id of the finished run that has all these tags."""
        finished = [run for run in self.runs(experiment, tags) if run.status is RunStatus.FINISHED]
        return finished[0].run_id if finished else None

    def log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        """Add parameters to a run."""
        self._run(run_id).parameters.update(parameters)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run, finished or not."""
        self._run(run_id).metrics.update(metrics)

    def metrics(self, run_id: str) -> Mapping[str, float]:
        """Last value of each metric of a run."""
        return dict(self._run(run_id).metrics)

    def log_datasets(self, run_id: str, datasets: Sequence[UsedData]) -> None:
        """Record what a run read."""
        self._run(run_id).datasets.extend(datasets)

    def log_model(self, run_id: str, folder: Path) -> None:
        """Add a folder in MLflow's model format as the run's artifact ``model``."""
        self.log_files(run_id, folder, "model")

    def log_files(self, run_id: str, folder: Path, artifact: str) -> None:
        """Add files to a run's artifacts under a path."""
        self._run(run_id)
        shutil.copytree(folder, self.artifact_path(run_id, artifact), dirs_exist_ok=True)

    def download(self, run_id: str, artifact: str, folder: Path) -> Path:
        """Fetch an artifact of a run; see ``RegistryStore``."""
        self._run(run_id)
        source, target = self.artifact_path(run_id, artifact), folder / artifact
        if not source.exists():
            message = f"The registry could not fetch {artifact} of run {run_id}: It is gone or was never there."
            raise DataRejectedError(message)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source, target)
        return target

    def artifact_path(self, run_id: str, artifact: str) -> Path:
        """Where an artifact lies; a test may spoil it there."""
        return self._folder / run_id / artifact

    def run_url(self, run_id: str) -> str:
        """Where a person finds the run."""
        return f"memory://{self._run(run_id).state.run_id}"

    def versions(self, model: str, tags: Mapping[str, str]) -> Iterable[ModelVersion]:
        """Versions of a model that have all these tags, oldest first."""
        return [version for version in self._versions.get(model, []) if tags.items() <= version.tags.items()]

    def register(self, model: str, run_id: str, source: str, tags: Mapping[str, str]) -> ModelVersion:
        """Create one version of a model, created if need be, and tag it."""
        self._run(run_id)
        if not self.artifact_path(run_id, "model").is_dir():
            message = f"Run {run_id} has no model: '{model}' gets no version of it. Train it again."
            raise DataRejectedError(message)
        with self._lock:
            known = self._versions.setdefault(model, [])
            number = len(known) + 1
            known.append(ModelVersion(name=model, version=number, run_id=run_id, tags={SOURCE_TAG: source, **tags}))
        return known[number - 1]

    def set_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Tag a version."""
        known = self.version(model, version)
        if known is None:
            message = f"The registry could not tag version {version} of model '{model}': It is gone or was never there."
            raise DataRejectedError(message)
        self._versions[model][version - 1] = replace(known, tags={**known.tags, **tags})

    def version(self, model: str, version: int) -> ModelVersion | None:
        """One version; None if there is none."""
        return next((known for known in self._versions.get(model, []) if known.version == version), None)

    def alias(self, model: str, alias: str) -> ModelVersion | None:
        """The version that an alias names; None if it names none."""
        number = self._aliases.get((model, alias))
        return None if number is None else self.version(model, number)

    def move_alias(self, model: str, alias: str, *, expected: int | None, to: int) -> None:
        """Let an alias name another version, if it still names the expected one."""
        if self.version(model, to) is None:
            message = f"The registry could not move alias '{alias}' of model '{model}' to version {to}: It is gone."
            raise DataRejectedError(message)
        with self._lock:
            current = self._aliases.get((model, alias))
            if current != expected:
                message = (
                    f"Alias '{alias}' of model '{model}' names version {current or 'none'}, not {expected or 'none'}: "
                    "somebody moved it in the meantime. Run the step again."
                )
                raise TemporaryError(message)
            self._aliases[model, alias] = to

    def _run(self, run_id: str) -> _Run:
        if run_id not in self._runs:
            message = f"The registry could not read run {run_id}: It is gone or was never there."
            raise DataRejectedError(message)
        return self._runs[run_id]
