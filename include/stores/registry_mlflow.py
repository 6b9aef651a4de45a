"""
MLflow's client behind ``RegistryStore``: nothing else in the project calls an MLflow server.

Imported only where a registry is opened.
"""

import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow  # noqa: TID253
from mlflow.entities import (  # noqa: TID253
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    ViewType,
)
from mlflow.exceptions import MlflowException  # noqa: TID253
from mlflow.tracking import MlflowClient  # noqa: TID253

from include.errors import DataRejectedError, TemporaryError, foreign
from include.stores.protocols import ModelRun, ModelVersion, RunStatus, UsedData
from include.stores.registry_errors import GONE, TAKEN, mapped

MODEL = "model"
SOURCE_TAG = "platform.source"
_DIGEST_LIMIT = 36
_PARAMETER_LIMIT = 6_000
_PAGE = 200
_STATUS = {"SCHEDULED": RunStatus.RUNNING}


class MlflowRegistry:
    """
    Runs, artifacts, versions and aliases of one MLflow server.

    :param uri: the server's address; may carry a user and a password, so it is never shown.
    :param server: the same for messages.
    """

    def __init__(self, uri: str, server: str) -> None:
        # A client alone is not enough: MLflow looks up a run's logged models at the process's own address.
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        self._client = MlflowClient(uri, uri)
        self._server = server

    def start_run(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """Begin a run; see ``RegistryStore``."""
        with mapped(self._server, f"start a run in experiment '{experiment}'"):
            run = self._client.create_run(self._experiment(experiment), tags=dict(tags), run_name=name)
        return str(run.info.run_id)

    def end_run(self, run_id: str, status: RunStatus) -> None:
        """Say how a run ended."""
        with mapped(self._server, f"end run {run_id}"):
            self._client.set_terminated(run_id, status.value)

    def runs(self, experiment: str, tags: Mapping[str, str]) -> list[ModelRun]:
        """All runs that have all these tags; see ``RegistryStore``."""
        wanted = " and ".join(f"tags.`{name}` = '{_quoted(value)}'" for name, value in tags.items())
        with mapped(self._server, f"look for runs in experiment '{experiment}'"):
            found = self._client.get_experiment_by_name(experiment)
            if found is None:
                return []
            pages = _all_pages(
                lambda token: self._client.search_runs(
                    [found.experiment_id], wanted, ViewType.ACTIVE_ONLY, max_results=_PAGE, page_token=token
                )
            )
        runs = [_model_run(run) for run in pages]
        return sorted(runs, key=lambda run: (run.ended_ms is None, run.ended_ms or 0, run.run_id))

    def find_run(self, experiment: str, tags: Mapping[str, str]) -> str | None:
        """Id of the finished run that has all these tags."""
        finished = [run for run in self.runs(experiment, tags) if run.status is RunStatus.FINISHED]
        return finished[0].run_id if finished else None

    def log_parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        """Add parameters to a run."""
        logged = [Param(name, value[:_PARAMETER_LIMIT]) for name, value in parameters.items()]
        with mapped(self._server, f"log parameters of run {run_id}"):
            self._client.log_batch(run_id, params=logged)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run, finished or not."""
        now = int(time.time() * 1000)
        logged = [Metric(name, float(value), now, 0) for name, value in metrics.items()]
        with mapped(self._server, f"log metrics of run {run_id}"):
            self._client.log_batch(run_id, metrics=logged)

    def metrics(self, run_id: str) -> Mapping[str, float]:
        """Last value of each metric of a run."""
        with mapped(self._server, f"read run {run_id}"):
            return dict(self._client.get_run(run_id).data.metrics)

    def log_datasets(self, run_id: str, datasets: Sequence[UsedData]) -> None:
        """Say what a run read."""
        inputs = [DatasetInput(_dataset(used), [InputTag("mlflow.data.context", used.role)]) for used in datasets]
        with mapped(self._server, f"log datasets of run {run_id}"):
            self._client.log_inputs(run_id, datasets=inputs)

    def log_model(self, run_id: str, folder: Path) -> None:
        """Add a folder in MLflow's model format as the run's artifact ``model``."""
        with mapped(self._server, f"log the model of run {run_id}"):
            run = self._client.get_run(run_id)
            model = self._client.create_logged_model(run.info.experiment_id, name=MODEL, source_run_id=run_id)
            self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
            self._client.log_model_artifacts(model.model_id, str(folder))
            self._client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)

    def log_files(self, run_id: str, folder: Path, artifact: str) -> None:
        """Add files to a run's artifacts under a path."""
        with mapped(self._server, f"log {artifact} of run {run_id}"):
            self._client.log_artifacts(run_id, str(folder), artifact)

    def download(self, run_id: str, artifact: str, folder: Path) -> Path:
        """Fetch an artifact of a run; see ``RegistryStore``."""
        with mapped(self._server, f"fetch {artifact} of run {run_id}"):
            return Path(self._client.download_artifacts(run_id, artifact, str(folder)))

    def run_url(self, run_id: str) -> str:
        """Where a person finds the run."""
        with mapped(self._server, f"read run {run_id}"):
            return f"{self._server}/#/experiments/{self._client.get_run(run_id).info.experiment_id}/runs/{run_id}"

    def versions(self, model: str, tags: Mapping[str, str]) -> Iterable[ModelVersion]:
        """Versions of a model that have all these tags, oldest first."""
        with mapped(self._server, f"list versions of model '{model}'"):
            pages = _all_pages(
                lambda token: self._client.search_model_versions(
                    f"name='{_quoted(model)}'", max_results=_PAGE, page_token=token
                )
            )
        found = [_version(version) for version in pages]
        chosen = [version for version in found if tags.items() <= version.tags.items()]
        return sorted(chosen, key=lambda version: version.version)

    def register(self, model: str, run_id: str, source: str, tags: Mapping[str, str]) -> ModelVersion:
        """
        Create one version of a model, created if need be, and tag it.

        MLflow takes only a run's own model as the source of a version, so the caller's source is kept as a tag.
        """
        with mapped(self._server, f"register a version of model '{model}'"):
            try:
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
                await_creation_for=0,
                model_id=logged[-1].model_id,
            )
            return _version(created)

    def set_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Tag a version; a tag that it has already gets the new value."""
        with mapped(self._server, f"tag version {version} of model '{model}'"):
            for name, value in tags.items():
                self._client.set_model_version_tag(model, str(version), name, value)

    def version(self, model: str, version: int) -> ModelVersion | None:
        """One version; None if there is none."""
        with mapped(self._server, f"read version {version} of model '{model}'"):
            try:
                return _version(self._client.get_model_version(model, str(version)))
            except MlflowException as error:
                if error.error_code not in GONE:
                    raise
                return None

    def alias(self, model: str, alias: str) -> ModelVersion | None:
        """The version that an alias names; None if it names none."""
        with mapped(self._server, f"read alias '{alias}' of model '{model}'"):
            try:
                aliases = self._client.get_registered_model(model).aliases
            except MlflowException as error:
                if error.error_code not in GONE:
                    raise
                return None
        return self.version(model, int(aliases[alias])) if alias in aliases else None

    def move_alias(self, model: str, alias: str, *, expected: int | None, to: int) -> None:
        """
        Let an alias name another version, if it still names the expected one.

        MLflow cannot compare and set: two movers in the same few milliseconds may both succeed, and the last one wins.
        Those of the platform take turns (``include.stores.turns``).
        """
        current = self.alias(model, alias)
        if (current.version if current else None) != expected:
            message = (
                f"Alias '{alias}' of model '{model}' names version {current.version if current else 'none'}, not "
                f"{expected or 'none'}: somebody moved it in the meantime. Run the step again."
            )
            raise TemporaryError(message)
        with mapped(self._server, f"move alias '{alias}' of model '{model}' to version {to}"):
            self._client.set_registered_model_alias(model, alias, str(to))

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(self._client.create_experiment(name))
            except MlflowException as error:
                if error.error_code != TAKEN:
                    raise
            found = self._client.get_experiment_by_name(name)
        if found is None or found.lifecycle_stage == "deleted":
            message = f"MLflow's experiment '{name}' was deleted. Restore it, or delete it for good with 'mlflow gc'."
            raise DataRejectedError(message)
        return str(found.experiment_id)


def _all_pages(page: Any) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        items = page(token)
        found.extend(items)
        token = items.token
        if not token:
            return found


def _model_run(run: Run) -> ModelRun:
    status = run.info.status
    return ModelRun(
        run_id=run.info.run_id,
        status=_STATUS.get(status) or RunStatus(status),
        tags=dict(run.data.tags),
        ended_ms=run.info.end_time if status in {"FINISHED", "FAILED", "KILLED"} else None,
    )


def _version(version: Any) -> ModelVersion:
    tags = dict(version.tags or {})
    return ModelVersion(name=version.name, version=int(version.version), run_id=version.run_id or "", tags=tags)


def _dataset(used: UsedData) -> Dataset:
    state = used.state
    source = {"table": state.name, "partition": state.partition, "version": state.version, "digest": state.digest}
    return Dataset(
        name=f"{state.name} {state.partition}",
        digest=state.digest.removeprefix("sha256:")[:_DIGEST_LIMIT],
        source_type="delta_table",
        source=json.dumps({**source, "delta_table_name": state.name, "delta_table_version": state.version}),
        profile=json.dumps({"num_rows": state.row_count}),
    )


def _quoted(value: str) -> str:
    if "'" in value:
        message = f"MLflow's search takes no quote: {foreign(value)}. Name it without one."
        raise DataRejectedError(message)
    return value
