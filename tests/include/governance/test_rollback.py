from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.contract.results import GoldenProof
from include.contract.step_names import StepName
from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.governance.ledger import LedgerEvent
from include.governance.promotion import Promoted
from include.governance.rollback import RollbackRequest, rollback
from include.stores.registry.memory import MemoryRegistry
from tests.support.worlds.release_world import ReleaseWorld


@pytest.fixture(scope="module")
def trained(toy: Path) -> Iterator[ReleaseWorld]:
    world = ReleaseWorld.filled()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("include.steps.package.step.prove", lambda _bundle: GoldenProof(golden_rows=6, direct=True))
        world.packaged("2024-04", run="old")
        world.packaged("2024-05", run="new")
        yield world


@pytest.fixture
def world(trained: ReleaseWorld) -> ReleaseWorld:
    """Version 2 is champion, version 1 was."""
    result = trained.copy()
    result.done(StepName.DEPLOY, "2024-04", run="old")
    result.done(StepName.DEPLOY, "2024-05", run="new")
    return result


def rolled_back(world: ReleaseWorld, **wish: Any) -> Promoted:
    context = world.context(StepName.DEPLOY)
    wanted = RollbackRequest(**{"who": "ann", "why": "wrong since noon", **wish})
    return rollback(context.stores, context.events, world.spec, wanted)


def test_traffic_alias_and_ledger_move_together(world: ReleaseWorld) -> None:
    rolled_back(world)
    assert (world.champion(), world.active()) == (1, 1)
    note = world.ledger()[-1].note
    assert (note.event, note.who.person, note.why) == (LedgerEvent.PROMOTED, "ann", "wrong since noon")
    assert (note.before and note.before.version, note.after.version) == (2, 1)


def test_second_time_asks_for_the_version(world: ReleaseWorld) -> None:
    rolled_back(world)
    with pytest.raises(ConfigurationError, match=r"Version 1 .* is champion by a rollback already; name .* --to"):
        rolled_back(world)
    rolled_back(world, to=2)
    assert (world.champion(), world.active()) == (2, 2)


def test_rollback_to_the_champion_itself_writes_nothing(world: ReleaseWorld) -> None:
    rolled_back(world, to=2)
    assert len(world.ledger()) == 2


@pytest.mark.parametrize(
    "moment",
    [
        "include.stores.serving.memory.MemoryServing.activate",
        "include.stores.registry.memory.MemoryRegistry.move_alias",
        "include.governance.ledger.Ledger.append",
    ],
)
def test_rollback_killed_anywhere_is_run_again_to_the_same_end(
    world: ReleaseWorld, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_arguments: object, **_named: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(moment, killed)
        with pytest.raises(KilledError):
            rolled_back(world)
    rolled_back(world)
    assert (world.champion(), world.active()) == (1, 1)
    assert [entry.note.after.version for entry in world.ledger()] == [1, 2, 1]


def test_rollback_that_fails_leaves_the_champion_and_is_written_down(
    world: ReleaseWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise TemporaryError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("include.stores.serving.memory.MemoryServing.start", fail)
        with pytest.raises(TemporaryError, match="no room"):
            rolled_back(world)
    assert (world.champion(), world.active()) == (2, 2)
    assert world.ledger()[-1].note.event is LedgerEvent.FAILED


def test_first_champion_has_nothing_to_go_back_to(trained: ReleaseWorld) -> None:
    world = trained.copy()
    with pytest.raises(ConfigurationError, match="nothing to go back to"):
        rolled_back(world)
    world.done(StepName.DEPLOY, "2024-04", run="old")
    with pytest.raises(ConfigurationError, match="nothing to go back to"):
        rolled_back(world)


def test_version_that_was_never_champion_is_refused(world: ReleaseWorld) -> None:
    with pytest.raises(ConfigurationError, match=r"Version 7 .* was never champion; these were: 1, 2\."):
        rolled_back(world, to=7)


def test_reason_must_be_given(world: ReleaseWorld) -> None:
    with pytest.raises(ConfigurationError, match="needs a reason"):
        rolled_back(world, why=" ")


def test_version_that_is_gone_or_another_is_refused(world: ReleaseWorld) -> None:
    registry = world.registry
    assert isinstance(registry, MemoryRegistry)
    registry.set_tags(world.model, 1, {"platform.bundle": "sha256:other"})
    with pytest.raises(DataRejectedError, match=r"is of bundle sha256:other, not .* Choose another with --to"):
        rolled_back(world)
    registry._versions.clear()
    with pytest.raises(DataRejectedError, match=r"is not in the registry any more\. Choose another with --to"):
        rolled_back(world)
