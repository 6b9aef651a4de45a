from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.contract.layout import bundle_prefix, ledger_key
from include.contract.receipt import ObjectState, OutcomeStatus
from include.contract.results import DeployResults, GoldenProof
from include.contract.step_names import StepName
from include.errors import DataRejectedError, NothingToDoError, TemporaryError
from include.governance.ledger import LedgerEvent, LedgerVersion
from include.packaging.files import GoldenTable
from include.stores.objects.bundles import sealed_bundle
from include.stores.registry.memory import MemoryRegistry
from include.stores.registry.open import open_registry
from include.stores.retry import Backoff
from include.stores.serving.http import ServedPredictions
from include.stores.serving.local import LocalServing
from include.stores.serving.memory import PUBLIC_URL, MemoryServing
from tests.support.servers.mlflow_server import MlflowServer
from tests.support.serving_bundles import running_supervisor
from tests.support.worlds.release_world import ReleaseWorld
from tests.support.worlds.training_world import PROJECT


@pytest.fixture(scope="module")
def trained(toy: Path) -> Iterator[ReleaseWorld]:
    """Two trainings, the older one packaged; a bundle's proof is not this module's matter."""
    world = ReleaseWorld.filled()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("include.steps.package.step.prove", lambda _bundle: GoldenProof(golden_rows=6, direct=True))
        world.packaged("2024-04", run="old")
        world.evaluated("2024-05", run="new")
        yield world


@pytest.fixture
def packaged(trained: ReleaseWorld) -> ReleaseWorld:
    return trained.copy()


def memory(world: ReleaseWorld) -> MemoryServing:
    assert isinstance(world.serving, MemoryServing)
    return world.serving


def test_packaged_version_is_served_and_champion_and_in_the_ledger(packaged: ReleaseWorld) -> None:
    receipt = packaged.done(StepName.DEPLOY, "2024-04", run="old")
    assert packaged.active() == packaged.champion() == 1
    (entry,) = packaged.ledger()
    assert entry.note.event is LedgerEvent.PROMOTED
    assert (entry.note.before, entry.note.after.version, entry.note.who.run) == (None, 1, "old")
    assert entry.note.evidence["document"] in packaged.objects.contents
    assert receipt.results_of(DeployResults).before is None
    assert [state.name for state in receipt.outputs if isinstance(state, ObjectState)] == [
        receipt.results_of(DeployResults).ledger
    ]


def test_newer_model_takes_over_and_the_old_one_is_kept(packaged: ReleaseWorld) -> None:
    packaged.done(StepName.DEPLOY, "2024-04", run="old")
    packaged.deployed("2024-05", run="new")
    status = packaged.serving.status(PROJECT, packaged.model)
    assert (packaged.champion(), packaged.active()) == (2, 2)
    assert status.previous is not None
    assert status.previous.version == 1
    assert [entry.note.after.version for entry in packaged.ledger()] == [1, 2]
    before = packaged.ledger()[1].note.before
    assert before is not None
    assert before.version == 1


def test_second_time_is_already_done(packaged: ReleaseWorld) -> None:
    packaged.done(StepName.DEPLOY, "2024-04", run="old")
    again = packaged.run(StepName.DEPLOY, "2024-04", run="old")
    assert again.outcome.status is OutcomeStatus.ALREADY_DONE
    assert memory(packaged).started == [1]
    assert len(packaged.ledger()) == 1


def test_model_that_the_server_lost_is_started_again(packaged: ReleaseWorld) -> None:
    packaged.done(StepName.DEPLOY, "2024-04", run="old")
    packaged.serving = MemoryServing()
    again = packaged.run(StepName.DEPLOY, "2024-04", run="old")
    assert again.outcome.status is OutcomeStatus.DONE
    assert packaged.active() == 1
    assert len(packaged.ledger()) == 1


def test_run_that_must_not_promote_is_skipped(packaged: ReleaseWorld) -> None:
    with pytest.raises(NothingToDoError, match="--promote no"):
        raise packaged.failing(StepName.DEPLOY, "2024-04", run="old", promote="no")
    assert packaged.champion() is None


def test_champion_is_not_replaced_by_an_older_model(packaged: ReleaseWorld) -> None:
    packaged.deployed("2024-05", run="new")
    with pytest.raises(NothingToDoError, match="data up to 2024-04; the champion, version 2, on data up to 2024-05"):
        raise packaged.failing(StepName.DEPLOY, "2024-04", run="old")
    assert (packaged.champion(), packaged.active()) == (2, 2)
    assert len(packaged.ledger()) == 1


def test_run_without_a_package_is_refused(packaged: ReleaseWorld) -> None:
    with pytest.raises(DataRejectedError, match=r"has no packaged model.*same --run"):
        raise packaged.failing(StepName.DEPLOY, "2024-05", run="new")


class Contradicting(MemoryServing):
    """Answers wrongly at addresses that begin so."""

    wrong_at = "memory://candidate"

    def predict(self, url: str, rows: GoldenTable) -> ServedPredictions:
        served = super().predict(url, rows)
        if not url.startswith(self.wrong_at):
            return served
        return ServedPredictions([[0.5, 0.5] for _ in served.predictions], served.version, served.digest)


@pytest.mark.parametrize("wrong_at", ["memory://candidate", PUBLIC_URL])
def test_version_that_predicts_differently_gets_no_traffic(packaged: ReleaseWorld, wrong_at: str) -> None:
    packaged.done(StepName.DEPLOY, "2024-04", run="old")
    old = memory(packaged).active
    packaged.serving = Contradicting(active=old)
    packaged.serving.wrong_at = wrong_at
    packaged.packaged("2024-05", run="new")
    with pytest.raises(DataRejectedError, match="differently than the model did in training"):
        raise packaged.failing(StepName.DEPLOY, "2024-05", run="new")
    assert (packaged.champion(), packaged.active()) == (1, 1)
    assert memory(packaged).candidate is None
    last = packaged.ledger()[-1].note
    assert last.event is LedgerEvent.FAILED
    assert "differently" in last.why


def test_alias_that_somebody_else_moved_puts_the_traffic_back(
    packaged: ReleaseWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged.done(StepName.DEPLOY, "2024-04", run="old")
    packaged.packaged("2024-05", run="new")

    def lose(*_arguments: object, **_named: object) -> None:
        raise TemporaryError("somebody moved it in the meantime")

    with monkeypatch.context() as patched:
        patched.setattr(packaged.registry, "move_alias", lose)
        assert isinstance(packaged.failing(StepName.DEPLOY, "2024-05", run="new"), TemporaryError)
    assert (packaged.champion(), packaged.active()) == (1, 1)
    packaged.done(StepName.DEPLOY, "2024-05", run="new", attempt=2)
    assert (packaged.champion(), packaged.active()) == (2, 2)
    events = [entry.note.event for entry in packaged.ledger()]
    assert events == [LedgerEvent.PROMOTED, LedgerEvent.FAILED, LedgerEvent.PROMOTED]


class KilledError(BaseException):
    """The process ends here."""


def killed(*_arguments: Any, **_named: Any) -> None:
    raise KilledError


@pytest.mark.parametrize(
    "moment",
    [
        "include.stores.serving.memory.MemoryServing.activate",
        "include.stores.registry.memory.MemoryRegistry.move_alias",
        "include.governance.ledger.Ledger.append",
    ],
)
def test_step_killed_anywhere_is_run_again_to_the_same_end(
    packaged: ReleaseWorld, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    packaged.done(StepName.DEPLOY, "2024-04", run="old")
    packaged.packaged("2024-05", run="new")
    with monkeypatch.context() as patched:
        patched.setattr(moment, killed)
        with pytest.raises(KilledError):
            packaged.run(StepName.DEPLOY, "2024-05", run="new")
    packaged.done(StepName.DEPLOY, "2024-05", run="new", attempt=2)
    assert (packaged.champion(), packaged.active()) == (2, 2)
    notes = [entry.note for entry in packaged.ledger()]
    assert [note.after.version for note in notes] == [1, 2]
    assert notes[1].before == LedgerVersion(version=1, digest=notes[0].after.digest)


def test_step_killed_after_its_ledger_entry_writes_no_second_one(packaged: ReleaseWorld) -> None:
    packaged.done(StepName.DEPLOY, "2024-04", run="old")
    packaged.forget(StepName.DEPLOY, "2024-04")
    packaged.done(StepName.DEPLOY, "2024-04", run="old", attempt=2)
    assert len(packaged.ledger()) == 1


def test_damaged_ledger_stops_the_step_before_anything_moves(packaged: ReleaseWorld) -> None:
    packaged.done(StepName.DEPLOY, "2024-04", run="old")
    packaged.packaged("2024-05", run="new")
    key = ledger_key(PROJECT, packaged.model, 1)
    packaged.objects.contents[key] = packaged.objects.contents[key].replace(b'"number":1', b'"number":7')
    with pytest.raises(DataRejectedError, match="does not follow the one before"):
        raise packaged.failing(StepName.DEPLOY, "2024-05", run="new")
    assert (packaged.champion(), packaged.active()) == (1, 1)


def test_bundle_with_a_file_gone_is_not_deployed(packaged: ReleaseWorld) -> None:
    key = next(key for key in packaged.objects.contents if key.endswith("/model.skops"))
    del packaged.objects.contents[key]
    with pytest.raises(DataRejectedError, match=r"model\.skops"):
        raise packaged.failing(StepName.DEPLOY, "2024-04", run="old")
    assert (packaged.champion(), packaged.active()) == (None, None)


def test_version_whose_tags_were_changed_is_not_deployed(packaged: ReleaseWorld) -> None:
    version = packaged.registry.version(packaged.model, 1)
    assert version is not None
    tags = version.tags
    assert isinstance(tags, dict)
    tags["platform.bundle"] = "sha256:other"
    with pytest.raises(DataRejectedError, match=r"is of bundle sha256:other, not .* Run the package step again"):
        raise packaged.failing(StepName.DEPLOY, "2024-04", run="old")
    del tags["platform.sealed"]
    with pytest.raises(DataRejectedError, match=r"is not sealed: it has no tag platform\.sealed"):
        raise packaged.failing(StepName.DEPLOY, "2024-04", run="old")


def test_package_step_gives_a_version_whose_tags_were_changed_a_successor(packaged: ReleaseWorld) -> None:
    """As the message of the deploy step states."""
    registry = packaged.registry
    assert isinstance(registry, MemoryRegistry)
    registry.set_tags(packaged.model, 1, {"platform.bundle": "sha256:other"})
    packaged.done(StepName.PACKAGE, "2024-04", run="old", attempt=2)
    packaged.done(StepName.DEPLOY, "2024-04", run="old", attempt=2)
    assert (packaged.champion(), packaged.active()) == (2, 2)


class Restarting(MemoryServing):
    """Does not respond for some time."""

    silent_answers = 0

    def predict(self, url: str, rows: GoldenTable) -> ServedPredictions:
        if self.silent_answers:
            self.silent_answers -= 1
            raise TemporaryError("answers 503")
        return super().predict(url, rows)


def test_server_that_is_being_restarted_is_waited_for(packaged: ReleaseWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.governance.rollout._BACKOFF", Backoff(0.0, 0.0))
    packaged.serving = Restarting()
    packaged.serving.silent_answers = 3
    packaged.done(StepName.DEPLOY, "2024-04", run="old")
    packaged.serving.silent_answers = 3
    again = packaged.run(StepName.DEPLOY, "2024-04", run="old")
    assert again.outcome.status is OutcomeStatus.ALREADY_DONE
    assert len(packaged.ledger()) == 1


def test_server_that_does_not_respond_is_a_temporary_error(
    packaged: ReleaseWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.governance.rollout.RESPONSE_SECONDS", 0.0)
    packaged.serving = Restarting()
    packaged.serving.silent_answers = 10_000
    with pytest.raises(TemporaryError, match="answers 503"):
        raise packaged.failing(StepName.DEPLOY, "2024-04", run="old")
    assert (packaged.champion(), packaged.active()) == (None, None)
    assert memory(packaged).candidate is None


@pytest.mark.mlflow
@pytest.mark.usefixtures("toy")
def test_release_through_a_real_registry_and_a_real_server(mlflow_server: MlflowServer, tmp_path: Path) -> None:
    control = tmp_path / "c.sock"
    with running_supervisor(tmp_path / "state", control):
        world = ReleaseWorld.filled(registry=open_registry(mlflow_server.uri), serving=LocalServing(control))
        state = world.deployed()
        assert (world.champion(), world.active()) == (state.version, state.version)
        for step in (StepName.PACKAGE, StepName.DEPLOY):
            assert world.run(step).outcome.status is OutcomeStatus.ALREADY_DONE
            world.forget(step)
            assert world.run(step, attempt=2).outcome.status is OutcomeStatus.DONE
        assert len(list(world.registry.versions(world.model, {}))) == 1
        assert len(world.ledger()) == 1
        url = world.serving.status(PROJECT, world.model).public_url
        golden = sealed_bundle(world.objects, PROJECT, state.digest).golden()
        assert world.serving.predict(url, golden.rows).version == str(state.version)


@pytest.fixture
def served(packaged: ReleaseWorld, tmp_path: Path) -> Iterator[ReleaseWorld]:
    control = tmp_path / "c.sock"
    with running_supervisor(tmp_path / "state", control):
        packaged.serving = LocalServing(control)
        yield packaged


def test_real_server_switches_and_refuses_a_spoiled_bundle(served: ReleaseWorld) -> None:
    served.done(StepName.DEPLOY, "2024-04", run="old")
    assert served.run(StepName.DEPLOY, "2024-04", run="old").outcome.status is OutcomeStatus.ALREADY_DONE
    state = served.packaged("2024-05", run="new")
    key = f"{bundle_prefix(PROJECT, state.digest)}golden.json"
    whole = served.objects.contents[key]
    served.objects.contents[key] = whole + b" "
    with pytest.raises(DataRejectedError, match=r"golden\.json of bundle"):
        raise served.failing(StepName.DEPLOY, "2024-05", run="new")
    assert (served.champion(), served.active()) == (1, 1)
    served.objects.contents[key] = whole
    served.done(StepName.DEPLOY, "2024-05", run="new", attempt=2)
    assert (served.champion(), served.active()) == (2, 2)
