"""
What is read from a registry: runs, their artifacts, versions and aliases. It changes nothing and imports no MLflow.

Artifacts come through the server where it proxies them, and through MLflow's library where they lie elsewhere.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from include.errors import DataRejectedError, foreign
from include.stores.registry.protocol import ModelRun, ModelVersion, RunStatus
from include.stores.registry.rest import ARTIFACTS, RegistryServer

MODEL = "model"
_PAGE = 200
# MLflow's database knows SCHEDULED, which no client sets for runs like these.
_STATUS = {"SCHEDULED": RunStatus.RUNNING}
_ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})


class RegistryReading:
    """
    The methods of ``RegistryStore`` that read from one MLflow server.

    :param server: where it is.
    """

    def __init__(self, server: RegistryServer) -> None:
        self._server = server

    def runs(self, experiment: str, tags: Mapping[str, str]) -> list[ModelRun]:
        """All runs that have all these tags; see ``RegistryStore``."""
        wanted = " and ".join(f"tags.`{name}` = '{_quoted(value)}'" for name, value in tags.items())
        what = f"look for runs in experiment '{experiment}'"
        number = self._experiment_number(experiment, what)
        if number is None:
            return []
        # ACTIVE_ONLY leaves out deleted runs, which MLflow keeps until "mlflow gc".
        query = {"experiment_ids": [number], "filter": wanted, "run_view_type": "ACTIVE_ONLY", "max_results": _PAGE}
        pages = _pages(lambda token: self._server.search(what, "runs/search", **query, page_token=token), "runs")
        runs = [_model_run(run) for run in pages]
        # The order of ends decides which of two finished runs counts (ADR 11); the id breaks a tie the same way
        # everywhere.
        return sorted(runs, key=lambda run: (run.ended_ms is None, run.ended_ms or 0, run.run_id))

    def find_run(self, experiment: str, tags: Mapping[str, str]) -> str | None:
        """Id of the finished run that has all these tags."""
        finished = [run for run in self.runs(experiment, tags) if run.status is RunStatus.FINISHED]
        return finished[0].run_id if finished else None

    def metrics(self, run_id: str) -> Mapping[str, float]:
        """Last value of each metric of a run."""
        metrics = self._run(run_id, f"read run {run_id}")["data"].get("metrics", [])
        return {metric["key"]: float(metric["value"]) for metric in metrics}

    def run_url(self, run_id: str) -> str:
        """Where a person finds the run."""
        experiment = self._run(run_id, f"read run {run_id}")["info"]["experiment_id"]
        return f"{self._server.shown}/#/experiments/{experiment}/runs/{run_id}"

    def download(self, run_id: str, artifact: str, folder: Path) -> Path:
        """Fetch an artifact of a run; see ``RegistryStore``."""
        what = f"fetch {artifact} of run {run_id}"
        root, inside = self._artifact_root(run_id, artifact, what)
        path = _handed_on(root)
        if path is None:
            return self._download_elsewhere(run_id, artifact, folder)
        target = folder / artifact
        if not self._fetch(what, path, PurePosixPath(inside), target):
            message = (
                f"MLflow at {self._server.shown} could not {what}: it is not among the run's artifacts. It is gone "
            )
            raise DataRejectedError(f"{message}or was never there.")
        return target

    def versions(self, model: str, tags: Mapping[str, str]) -> Iterable[ModelVersion]:
        """Versions of a model that have all these tags, oldest first."""
        query = {"filter": f"name='{_quoted(model)}'", "max_results": _PAGE}
        what = f"list versions of model '{model}'"
        pages = _pages(
            lambda token: self._server.get(what, "model-versions/search", **query, page_token=token), "model_versions"
        )
        known = [_version(version) for version in pages]
        # Filtered here: one quoting rule less, and a model has few versions.
        chosen = [version for version in known if tags.items() <= version.tags.items()]
        return sorted(chosen, key=lambda version: version.version)

    def version(self, model: str, version: int) -> ModelVersion | None:
        """One version; None if there is none."""
        what = f"read version {version} of model '{model}'"
        document = _unless_gone(lambda: self._server.get(what, "model-versions/get", name=model, version=version))
        return None if document is None else _version(document["model_version"])

    def alias(self, model: str, alias: str) -> ModelVersion | None:
        """The version that an alias names; None if it names none."""
        what = f"read alias '{alias}' of model '{model}'"
        document = _unless_gone(lambda: self._server.get(what, "registered-models/get", name=model))
        named = [] if document is None else document["registered_model"].get("aliases", [])
        numbers = [int(one["version"]) for one in named if one["alias"] == alias]
        return self.version(model, numbers[0]) if numbers else None

    def _experiment_number(self, experiment: str, what: str) -> str | None:
        document = _unless_gone(lambda: self._server.get(what, "experiments/get-by-name", experiment_name=experiment))
        return None if document is None else str(document["experiment"]["experiment_id"])

    def _run(self, run_id: str, what: str) -> Any:
        return self._server.get(what, "runs/get", run_id=run_id)["run"]

    def _artifact_root(self, run_id: str, artifact: str, what: str) -> tuple[str, str]:
        """The URI below which an artifact lies, and its path there: a run's model has a root of its own."""
        run = self._run(run_id, what)
        # Since MLflow 3 a logged model lies beside its run, not among the run's artifacts.
        first, _, rest = artifact.partition("/")
        models = run.get("outputs", {}).get("model_outputs", [])
        if first != MODEL or not models:
            return run["info"]["artifact_uri"], artifact
        model = self._server.get(what, f"logged-models/{models[-1]['model_id']}")["model"]
        return model["info"]["artifact_uri"], rest

    def _fetch(self, what: str, root: str, path: PurePosixPath, target: Path) -> bool:
        """
        Fetch a file or a folder; a folder that looks empty is none.

        :param root: path of the root below the server's own.
        """
        if path.name:
            # The listing of a path that does not exist is empty, not 404: the parent is listed to know.
            known = dict(self._listed(what, root, path.parent))
            if path.name not in known:
                return False
            if not known[path.name]:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self._server.content(what, str(PurePosixPath(root) / path)))
                return True
        names = [name for name, _ in self._listed(what, root, path)]
        fetched = [self._fetch(what, root, path / name, target / name) for name in names]
        return bool(fetched) and all(fetched)

    def _listed(self, what: str, root: str, path: PurePosixPath) -> Iterator[tuple[str, bool]]:
        listing = self._server.get(what, ARTIFACTS, path=str(PurePosixPath(root) / path))
        for file in listing.get("files", []):
            yield PurePosixPath(file["path"]).name, bool(file.get("is_dir"))

    def _download_elsewhere(self, run_id: str, artifact: str, folder: Path) -> Path:
        """Fetch an artifact that the server does not hand on."""
        raise NotImplementedError


def _pages(page: Callable[[str | None], Any], name: str) -> list[Any]:
    items: list[Any] = []
    token = None
    while True:
        document = page(token)
        items.extend(document.get(name, []))
        token = document.get("next_page_token")
        if not token:
            return items


def _unless_gone(request: Callable[[], Any]) -> Any:
    try:
        return request()
    except DataRejectedError:
        return None


def _handed_on(root: str) -> str | None:
    """The path below the server's root of artifacts; None where the server only knows where they lie."""
    parts = urlsplit(root)
    return unquote(parts.path).strip("/") if parts.scheme == "mlflow-artifacts" and not parts.netloc else None


def _model_run(run: Any) -> ModelRun:
    info, status = run["info"], run["info"]["status"]
    return ModelRun(
        run_id=info["run_id"],
        status=_STATUS.get(status) or RunStatus(status),
        tags=_tags(run["data"]),
        ended_ms=int(info["end_time"]) if status in _ENDED and info.get("end_time") is not None else None,
    )


def _version(version: Any) -> ModelVersion:
    return ModelVersion(
        name=version["name"], version=int(version["version"]), run_id=version.get("run_id", ""), tags=_tags(version)
    )


def _tags(holder: Any) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in holder.get("tags", [])}


def _quoted(value: str) -> str:
    # MLflow's filter language has no escape for the quote that it uses.
    if "'" in value:
        message = f"MLflow's search takes no quote: {foreign(value)}. Name it without one."
        raise DataRejectedError(message)
    return value
