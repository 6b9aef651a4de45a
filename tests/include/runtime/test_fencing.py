import inspect
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from include.contract.command import StepCommand
from include.contract.step_names import STORES, StepName
from include.coordination.leases import Leases, revoke
from include.errors import LeaseLostError, TemporaryError
from include.runtime import fencing
from include.runtime.fencing import FencedStores
from include.runtime.lease import Lease
from include.stores.artifacts.memory import MemoryArtifacts
from include.stores.artifacts.protocol import ArtifactStore
from include.stores.installation import Stores
from include.stores.metrics.memory import MemoryMetrics
from include.stores.objects.memory import MemoryObjects
from include.stores.objects.protocol import ObjectStore
from include.stores.registry.memory import MemoryRegistry
from include.stores.registry.protocol import RegistryStore, RunStatus
from include.stores.serving.protocol import ServingStore
from include.stores.tables.memory import MemoryTables
from include.stores.tables.protocol import TableStore

ALL = frozenset({"tables", "objects", "registry", "serving", "artifacts", "metrics"})
ROWS = pa.table({"id": [1]})


def command(attempt: int = 1) -> StepCommand:
    return StepCommand(step=StepName.DEPLOY, project="shop", partition="2013-03", run="r", attempt=attempt)


class FakeServing:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., str]:
        def method(*_given: object) -> str:
            self.asked.append(name)
            return name

        return method


class Bench:
    def __init__(self) -> None:
        self.objects, self.tables, self.registry = MemoryObjects(), MemoryTables(), MemoryRegistry()
        self.serving, self.metrics, self.artifacts = FakeServing(), MemoryMetrics(), MemoryArtifacts()
        inner = Stores(environment={"ML_STATSD": "here"})
        inner.__dict__.update(
            objects=self.objects,
            tables=self.tables,
            registry=self.registry,
            serving=self.serving,
            metrics=self.metrics,
            artifacts=self.artifacts,
        )
        self.lease = Lease(self.objects, command())
        self.stores = FencedStores(environment=inner.environment, inner=inner, lease=self.lease, allowed=ALL)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def _methods(protocol: type) -> set[str]:
    return {name for name, found in vars(protocol).items() if inspect.isfunction(found) and not name.startswith("_")}


@pytest.mark.parametrize(
    ("protocol", "sorted_out"),
    [
        (TableStore, fencing.TABLES_READING | {"write"}),
        (ObjectStore, fencing.OBJECTS_READING | {"create", "seal"}),
        (
            RegistryStore,
            fencing.REGISTRY_READING | fencing.REGISTRY_UNPUBLISHED | fencing.REGISTRY_PUBLISHING | {"end_run"},
        ),
        (ArtifactStore, fencing.ARTIFACTS_READING | {"push"}),
        (ServingStore, fencing.SERVING_READING | fencing.SERVING_PUBLISHING | fencing.SERVING_UNDOING),
    ],
)
def test_every_method_of_every_store_is_sorted_out(protocol: type, sorted_out: frozenset[str]) -> None:
    assert _methods(protocol) == sorted_out


def test_no_store_is_handed_on_without_a_decision() -> None:
    stores = {name for name, found in vars(Stores).items() if isinstance(found, cached_property)}
    assert stores == {name for name, found in vars(FencedStores).items() if isinstance(found, cached_property)}


def test_a_store_that_the_steps_code_digest_does_not_cover_cannot_be_opened(bench: Bench) -> None:
    allowed = STORES[StepName.INGEST]
    stores = FencedStores(environment={}, inner=bench.stores.inner, lease=bench.lease, allowed=allowed)
    assert {name for name in ALL if hasattr(stores, name)} == {"tables", "objects", "metrics"}
    with pytest.raises(AttributeError, match=r"may not open the store 'registry'.*Add it .* in STORES of include/"):
        _ = stores.registry


def test_the_stores_that_steps_may_open_are_those_of_an_installation() -> None:
    assert (
        frozenset[str]().union(*STORES.values())
        == ALL
        == {name for name, found in vars(Stores).items() if isinstance(found, cached_property)}
    )


def test_an_installation_without_a_registry_for_artifacts_has_none(bench: Bench) -> None:
    inner = Stores(environment={})
    assert FencedStores(environment={}, inner=inner, lease=bench.lease, allowed=ALL).artifacts is None


def test_a_holder_uses_the_stores_as_if_there_were_no_fence(bench: Bench, tmp_path: Path) -> None:
    stores = bench.stores
    (tmp_path / "model").mkdir()
    with bench.lease:
        written = stores.tables.write("shop/raw/a", "2013-03", ROWS, stamp={"step": "s"})
        assert stores.tables.state("shop/raw/a", "2013-03") == written
        assert bench.tables.stamps == [{"step": "s"}]
        assert stores.objects.create("a", b"1")
        assert stores.objects.seal("b", b"2").size_bytes == 1
        assert stores.objects.get("a") == b"1"
        run = stores.registry.start_run("shop", "name", {})
        stores.registry.log_model(run, tmp_path / "model")
        stores.registry.end_run(run, RunStatus.FINISHED)
        version = stores.registry.register("shop", run, "here", {}).version
        stores.registry.move_alias("shop", "champion", expected=None, to=version)
        assert stores.serving.activate(None) == "activate"  # type: ignore[arg-type, comparison-overlap]
    assert stores.metrics is bench.metrics
    assert stores.setting("ML_STATSD") == "here"
    assert "ML_STATSD" not in repr(stores)


def _publishing(bench: Bench, folder: Path, run: str) -> list[Callable[[], Any]]:
    stores = bench.stores
    record: Any = None
    return [
        lambda: stores.tables.write("shop/raw/a", "2013-03", ROWS, stamp={}),
        lambda: stores.objects.create("a", b"1"),
        lambda: stores.objects.seal("b", b"2"),
        lambda: stores.registry.start_run("shop", "name", {}),
        lambda: stores.registry.log_parameters(run, {}),
        lambda: stores.registry.log_datasets(run, []),
        lambda: stores.registry.log_model(run, folder),
        lambda: stores.registry.log_metrics(run, {"auc": 1}),
        lambda: stores.registry.log_files(run, folder, "x"),
        lambda: stores.registry.end_run(run, RunStatus.FINISHED),
        lambda: stores.registry.register("shop", run, "here", {}),
        lambda: stores.registry.set_tags("shop", 1, {}),
        lambda: stores.registry.move_alias("shop", "champion", expected=None, to=1),
        lambda: stores.artifacts and stores.artifacts.push(record),
        lambda: stores.serving.start(record, 1, record),
        lambda: stores.serving.activate(record),
    ]


@pytest.mark.parametrize("number", range(16))
def test_whoever_was_called_off_publishes_nothing(bench: Bench, tmp_path: Path, number: int) -> None:
    with bench.lease:
        run = bench.stores.registry.start_run("shop", "name", {})
        revoke(bench.objects, command())
        bench.lease._seen_at -= 3600
        before = bench.objects.list("")
        with pytest.raises(LeaseLostError, match="was called off: it publishes nothing"):
            _publishing(bench, tmp_path, run)[number]()
    assert bench.objects.list("") == before
    assert bench.tables.version("shop/raw/a") is None
    assert len(bench.registry.runs("shop", {})) == 1
    assert bench.serving.asked == []


def test_whoever_was_called_off_still_tidies_up(bench: Bench) -> None:
    record: Any = None
    with bench.lease:
        run = bench.stores.registry.start_run("shop", "name", {})
        revoke(bench.objects, command())
        bench.stores.registry.end_run(run, RunStatus.FAILED)
        bench.stores.serving.discard(record)
        bench.stores.serving.rollback(record)
    assert bench.serving.asked == ["discard", "rollback"]


def test_whoever_was_overtaken_takes_nothing_back(bench: Bench) -> None:
    record: Any = None
    with bench.lease:
        Leases(bench.objects, command(2)).take()
        with pytest.raises(LeaseLostError, match="Attempt 2 on"):
            bench.stores.serving.discard(record)
        with pytest.raises(LeaseLostError, match="Attempt 2 on"):
            bench.stores.serving.rollback(record)
    assert bench.serving.asked == []


def test_reading_needs_no_lease(bench: Bench) -> None:
    assert bench.stores.tables.partitions("shop/raw/a") == []
    assert bench.stores.objects.list("") == []
    assert bench.stores.registry.alias("shop", "champion") is None
    assert bench.stores.serving.status("shop", "shop") == "status"  # type: ignore[comparison-overlap]


def test_what_nobody_sees_yet_is_written_after_a_look_of_a_moment_ago(bench: Bench) -> None:
    with bench.lease:
        revoke(bench.objects, command())
        bench.stores.objects.seal("reports/a", b"1")
        with pytest.raises(TemporaryError, match="called off"):
            bench.stores.objects.create("ledger/a", b"1")


def test_a_method_that_no_protocol_has_is_not_there(bench: Bench) -> None:
    with pytest.raises(AttributeError, match=r"MemoryObjects\.contents is not among what a step may do"):
        _ = bench.stores.objects.contents  # type: ignore[attr-defined]
