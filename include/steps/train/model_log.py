"""What a training logs to its MLflow run: the model in MLflow's format, golden rows, and provenance."""

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from include.contract.digest import digest_of
from include.contract.measures import Dropped
from include.contract.model_files import FileDigest, SignatureColumns
from include.contract.receipt import Json, ModelState
from include.contract.results import FeaturesUsed, TargetShares, TargetUsed, TrainingWindow, TrainResults
from include.modeling.pipeline import ModelFunction
from include.modeling.rows import Rows
from include.packaging.mlflow_format import ModelDescription, write_model_folder
from include.runtime.context import StepContext, Work
from include.steps.train.golden import golden_bytes
from include.steps.train.provenance import ValidatedPartition
from include.steps.train.search import Parameters, Search
from include.stores.registry.protocol import UsedData
from include.stores.registry.run_files import DESCRIPTION_ARTIFACT, GOLDEN_ARTIFACT, MODEL_ARTIFACT

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

EXAMPLE_ROWS = 3


@dataclass
class Stopwatch:
    """Seconds by phase of a training."""

    seconds: dict[str, float] = field(default_factory=dict)
    _last: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        """
        Record the seconds since the last lap.

        :param name: of the phase that ends now.
        """
        now = time.monotonic()
        self.seconds[name] = round(now - self._last, 3)
        self._last = now


@dataclass(frozen=True)
class Task:
    """The input of a training, read and checked before its MLflow run is started."""

    window: TrainingWindow
    partitions: tuple[ValidatedPartition, ...]
    kept: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    train: Rows
    validation: Rows
    model: ModelFunction


@dataclass(frozen=True)
class Fitted:
    """The result of a training."""

    search: Search
    model: Any
    types: Mapping[str, str]
    """MLflow's type of each feature."""
    golden: "pd.DataFrame"
    predictions: "NDArray[np.float64]"
    """Shape (golden rows, classes)."""


def log_training(context: StepContext, task: Task, fitted: Fitted, run_id: str, watch: Stopwatch) -> Work:
    """
    Log the model and everything about it to its run, which is left unfinished.

    :param watch: its laps become ``results.seconds``.
    :return: the work of the step, for the run's record and the receipt.
    :raises DataRejectedError: if the model holds a type that is not trusted.
    """
    registry, spec = context.stores.registry, context.spec
    files = _log_artifacts(context, fitted, run_id, watch)
    best = fitted.search.best
    registry.log_parameters(run_id, _logged_parameters(context, task, best.parameters))
    registry.log_datasets(run_id, [UsedData(state=one.state, role=_role(task.window, one)) for one in task.partitions])
    registry.log_metrics(run_id, _logged_metrics(fitted.search))
    watch.lap("log")
    context.events.emit("model logged", run_id=run_id, score=best.metrics[spec.model.search.metric])
    state = ModelState(name=spec.model.name, run_id=run_id, digest=digest_of(files[MODEL_ARTIFACT]))
    results = TrainResults(
        run_id=run_id,
        run_url=registry.run_url(run_id),
        experiment=spec.name,
        window=task.window,
        features=FeaturesUsed(table=spec.feature_set.table, kept=task.kept, dropped=task.dropped),
        target=TargetUsed(name=spec.target.name, positive_class=1, shares=_shares(task)),
        parameters=dict(best.parameters),
        search=fitted.search.described(),
        signature=_signature(fitted),
        files={name: _described(content) for name, content in files.items()},
        evidence=tuple(one.described() for one in task.partitions),
        seconds=dict(watch.seconds),
    )
    return Work(outputs=(state,), row_counts=_row_counts(task), results=results)


def _log_artifacts(context: StepContext, fitted: Fitted, run_id: str, watch: Stopwatch) -> dict[str, bytes]:
    """
    Log model and golden rows.

    :return: the content of the files that later steps read, by path among the run's artifacts.
    """
    registry, spec = context.stores.registry, context.spec
    description = ModelDescription(
        inputs=fitted.types,
        class_count=fitted.predictions.shape[1],
        example=fitted.golden.head(EXAMPLE_ROWS),
        metadata={"project": spec.name, "features": spec.feature_set.table, "run_id": run_id},
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_model_folder(root / "model", fitted.model, description)
        golden = root / GOLDEN_ARTIFACT
        golden.parent.mkdir()
        golden.write_bytes(golden_bytes(fitted.golden, fitted.predictions))
        watch.lap("write")
        registry.log_model(run_id, root / "model")
        registry.log_files(run_id, golden.parent, golden.parent.name)
        # Read from the folder, not downloaded again: the digests are those of what was written here.
        return {name: (root / name).read_bytes() for name in (MODEL_ARTIFACT, DESCRIPTION_ARTIFACT, GOLDEN_ARTIFACT)}


def _described(content: bytes) -> FileDigest:
    return FileDigest(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def _signature(fitted: Fitted) -> SignatureColumns:
    outputs: Json = {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, fitted.predictions.shape[1]]}}
    inputs = [{"name": name, "type": kind, "required": True} for name, kind in fitted.types.items()]
    return SignatureColumns.model_validate({"inputs": inputs, "outputs": [outputs]})


def _shares(task: Task) -> TargetShares:
    return TargetShares(
        train=round(float(task.train.target.mean()), 6), validation=round(float(task.validation.target.mean()), 6)
    )


def _row_counts(task: Task) -> dict[str, int]:
    test = [one.state.row_count for one in task.partitions if one.state.partition in task.window.test]
    return {"train": len(task.train), "validation": len(task.validation), "test": sum(test)}


def _role(window: TrainingWindow, partition: ValidatedPartition) -> str:
    name = partition.state.partition
    return "train" if name in window.train else "validation" if name in window.validation else "test"


def _logged_parameters(context: StepContext, task: Task, parameters: Parameters) -> dict[str, str]:
    spec = context.spec
    return {
        **{name: str(value) for name, value in parameters.items()},
        "seed": str(spec.model.seed),
        "window": f"{task.window.partitions[0]}/{task.window.partitions[-1]}",
        "features": spec.feature_set.table,
        "feature_count": str(len(task.kept)),
        "search_trials": str(spec.model.search.trials),
    }


def _logged_metrics(search: Search) -> dict[str, float]:
    """The best trial's metrics, and the score of each trial."""
    best = {f"validation.{name}": value for name, value in search.best.metrics.items()}
    # Names of one metric each, as MLflow's steps of a metric would show trials as a course over time.
    return best | {f"trial.{trial.number:03d}.{search.metric}": trial.metrics[search.metric] for trial in search.trials}
