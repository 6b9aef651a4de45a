"""
MLflow behind ``RegistryStore``: nothing else in the project calls an MLflow server.

Its client is imported by the first call that writes, or that moves artifacts which the server does not hand on.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from include.errors import DataRejectedError, TemporaryError
from include.stores.registry.errors import TAKEN, mapped
from include.stores.registry.protocol import ModelVersion, RunStatus, UsedData
from include.stores.registry.reading import MODEL, RegistryReading

if TYPE_CHECKING:
    from mlflow.entities import Dataset
    from mlflow.tracking import MlflowClient

SOURCE_TAG = "platform.source"
# Column widths of MLflow's database: longer values are refused.
_DIGEST_LIMIT = 36
_PARAMETER_LIMIT = 6_000


class MlflowRegistry(RegistryReading):
    """Runs, artifacts, versions and aliases of one MLflow server."""

    @cached_property
    def _client(self) -> "MlflowClient":
        import mlflow
        from mlflow.tracking import MlflowClient

        # A client alone is not enough: MLflow looks up a run's logged models at the process's own address.
        uri = self._server.uri
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        # MLflow logs a line for each version and each artifact; the step's own events are one JSON line each.
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        return MlflowClient(uri, uri)

    def start_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """Begin a run; see ``RegistryStore``."""
        with mapped(self._server.shown, f"start a run in experiment '{experiment}'"):
            run = self._client.create_run(self._experiment(experiment), tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def end_run(self, run_id: str, status: RunStatus) -> None:
        """Record how a run ended."""
        with mapped(self._server.shown, f"end run {run_id}"):
            self._client.set_terminated(run_id, status.value)

    def log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        """Add parameters to a run."""
        from mlflow.entities import Param

        # One value that is too long would fail the whole batch.
        logged = [Param(name, value[:_PARAMETER_LIMIT]) for name, value in parameters.items()]
        with mapped(self._server.shown, f"log parameters of run {run_id}"):
            self._client.log_batch(run_id, params=logged)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run, finished or not."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        logged = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
        with mapped(self._server.shown, f"log metrics of run {run_id}"):
            self._client.log_batch(run_id, metrics=logged)

    def log_datasets(self, run_id: str, datasets: Sequence[UsedData]) -> None:
        """Record what a run read."""
        from mlflow.entities import DatasetInput, InputTag

        inputs = [DatasetInput(_dataset(used), [InputTag("mlflow.data.context", used.role)]) for used in datasets]
        with mapped(self._server.shown, f"log datasets of run {run_id}"):
            self._client.log_inputs(run_id, datasets=inputs)

    def log_model(self, run_id: str, folder: Path) -> None:
        """Add a folder in MLflow's model format as the run's artifact ``model``."""
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus

        with mapped(self._server.shown, f"log the model of run {run_id}"):
            run = self._client.get_run(run_id)
            # Not log_model: it would import the flavour, load the model and write its environment once more (ADR 11).
            model = self._client.create_logged_model(run.info.experiment_id, name=MODEL, source_run_id=run_id)
            self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
            self._client.log_model_artifacts(model.model_id, str(folder))
            # Until then MLflow shows it as an upload that was never finished.
            self._client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)

    def log_files(self, run_id: str, folder: Path, artifact: str) -> None:
        """Add files to a run's artifacts under a path."""
        with mapped(self._server.shown, f"log {artifact} of run {run_id}"):
            self._client.log_artifacts(run_id, str(folder), artifact)

    def register(self, model: str, run_id: str, source: str, tags: Mapping[str, str]) -> ModelVersion:
        """
        Create one version of a model, created if need be, and tag it.

        MLflow takes only a run's own model as the source of a version, so the caller's source is kept as a tag.
        """
        from mlflow.exceptions import MlflowException

        with mapped(self._server.shown, f"register a version of model '{model}'"):
            try:
                # There is no "create if missing": the second of two creators gets RESOURCE_ALREADY_EXISTS.
                self._client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != TAKEN:
                    raise
            outputs = self._client.get_run(run_id).outputs
            logged = outputs.model_outputs if outputs is not None else []
            if not logged:
                message = f"Run {run_id} has no model: '{model}' gets no version of it. Train it again."
                raise DataRejectedError(message)
            created = self._client.create_model_version(
                model,
                f"models:/{logged[-1].model_id}",
                run_id,
                tags={SOURCE_TAG: source, **tags},
                # The default waits up to five minutes for states that only Databricks has.
                await_creation_for=0,
                model_id=logged[-1].model_id,
            )
            return ModelVersion(
                name=model,
                version=int(created.version),
                run_id=created.run_id or "",
                tags=dict(created.tags or {}),
            )

    def set_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Tag a version; a tag that it has already gets the new value."""
        with mapped(self._server.shown, f"tag version {version} of model '{model}'"):
            for name, value in tags.items():
                self._client.set_model_version_tag(model, str(version), name, value)

    def move_alias(self, model: str, alias: str, *, expected: int | None, to: int) -> None:
        """
        Let an alias name another version, if it still names the expected one.

        MLflow cannot compare and set: two movers in the same few milliseconds may both succeed, and the last one wins.
        The platform's own writers hold a mutex meanwhile (``include.coordination.mutex``).
        """
        current = self.alias(model, alias)
        if (current.version if current else None) != expected:
            message = (
                f"Alias '{alias}' of model '{model}' names version {current.version if current else 'none'}, not "
                f"{expected or 'none'}: somebody moved it in the meantime. Run the step again."
            )
            raise TemporaryError(message)
        with mapped(self._server.shown, f"move alias '{alias}' of model '{model}' to version {to}"):
            self._client.set_registered_model_alias(model, alias, str(to))

    def _download_elsewhere(self, run_id: str, artifact: str, folder: Path) -> Path:
        with mapped(self._server.shown, f"fetch {artifact} of run {run_id}"):
            return Path(self._client.download_artifacts(run_id, artifact, str(folder)))

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                # Two tasks may find it missing in the same moment; the loser reads the winner's.
                return str(self._client.create_experiment(name))
            except MlflowException as error:
                if error.error_code != TAKEN:
                    raise
            experiment = self._client.get_experiment_by_name(name)
        # A deleted experiment keeps its name: it can be neither used nor created again.
        if experiment is None or experiment.lifecycle_stage == "deleted":
            message = f"MLflow's experiment '{name}' was deleted. Restore it, or delete it for good with 'mlflow gc'."
            raise DataRejectedError(message)
        return str(experiment.experiment_id)


def _dataset(used: UsedData) -> "Dataset":
    from mlflow.entities import Dataset

    state = used.state
    source = {"table": state.name, "partition": state.partition, "version": state.version, "digest": state.digest}
    return Dataset(
        name=f"{state.name} {state.partition}",
        digest=state.digest.removeprefix("sha256:")[:_DIGEST_LIMIT],
        source_type="delta_table",
        source=json.dumps({**source, "delta_table_name": state.name, "delta_table_version": state.version}),
        profile=json.dumps({"num_rows": state.row_count}),
    )
