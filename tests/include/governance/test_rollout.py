import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from include.errors import DataRejectedError, TemporaryError
from include.governance.rollout import Rollout, record_of_version, retried_predictions
from include.governance.versions import CHAMPION, SealedVersion
from include.packaging.files import GoldenTable
from include.runtime.events import EventLog
from include.stores.installation import Stores
from include.stores.objects.memory import MemoryObjects
from include.stores.registry.memory import MemoryRegistry
from include.stores.retry import Backoff
from include.stores.serving.http import ServedPredictions
from include.stores.serving.memory import PUBLIC_URL, MemoryServing

ROWS = GoldenTable(columns=["a"], data=[[1]])


class Server(MemoryServing):
    """Raises what it has, then answers."""

    errors: list[Exception]

    def predict(self, url: str, rows: GoldenTable) -> ServedPredictions:
        if self.errors:
            raise self.errors.pop(0)
        return ServedPredictions([1], "1", f"{url} {len(rows.data)}")


def server(*errors: Exception) -> Server:
    result = Server()
    result.errors = list(errors)
    return result


def test_server_that_does_not_respond_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.governance.rollout._BACKOFF", Backoff(0.0, 0.0))
    result = server(TemporaryError("503"), TemporaryError("503"))
    assert retried_predictions(result, PUBLIC_URL, ROWS).digest == f"{PUBLIC_URL} 1"


def test_server_that_refuses_is_not_retried() -> None:
    result = server(DataRejectedError("no"), DataRejectedError("never asked"))
    with pytest.raises(DataRejectedError, match=r"^no$"):
        retried_predictions(result, PUBLIC_URL, ROWS)
    assert len(result.errors) == 1


def test_retries_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.governance.rollout.RESPONSE_SECONDS", -1.0)
    with pytest.raises(TemporaryError, match="503"):
        retried_predictions(server(TemporaryError("503")), PUBLIC_URL, ROWS)


def test_version_is_named_as_the_server_names_it() -> None:
    version = SealedVersion(model="m", version=3, run_id="r", project="p", digest="d", partition="2013-09")
    result = record_of_version(version)
    assert (result.project, result.model, result.version, result.digest) == ("p", "m", 3, "d")


class MlflowLike(MemoryRegistry):
    """Compares, and sets a while later, as MLflow's client does."""

    def move_alias(self, model: str, alias: str, *, expected: int | None, to: int) -> None:
        current = self.alias(model, alias)
        if (current.version if current else None) != expected:
            message = f"Alias '{alias}' names another version: somebody moved it in the meantime."
            raise TemporaryError(message)
        threading.Event().wait(0.05)
        self._aliases[model, alias] = to


def _rollout(registry: MlflowLike, objects: MemoryObjects, version: int) -> Rollout:
    stores = Stores(environment={})
    stores.__dict__.update(registry=registry, objects=objects)
    sealed = SealedVersion(model="m", version=version, run_id="r", project="p", digest="d", partition="2013-09")
    nothing: Any = None
    return Rollout(stores=stores, events=EventLog(io.StringIO()), version=sealed, settings=nothing, placement=nothing)


def test_of_two_that_move_the_champion_in_the_same_moment_one_does(tmp_path: Path) -> None:
    registry, objects = MlflowLike(), MemoryObjects()
    run = registry.start_run("m", "run", {})
    (tmp_path / "model").mkdir()
    registry.log_model(run, tmp_path / "model")
    numbers = [registry.register("m", run, "here", {}).version for _ in range(4)]

    def move(version: int) -> int:
        try:
            _rollout(registry, objects, version)._move_alias(None)
        except TemporaryError:
            return 0
        return version

    with ThreadPoolExecutor(len(numbers)) as pool:
        moved = [version for version in pool.map(move, numbers) if version]
    champion = registry.alias("m", CHAMPION)
    assert champion is not None
    assert moved == [champion.version]
