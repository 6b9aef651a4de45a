import pytest

from include.contract.layout import bundle_prefix, ledger_key
from include.contract.step_names import StepName
from include.errors import DataRejectedError, NothingToDoError
from include.governance.ledger import LedgerEvent
from include.steps.score.champion_as_of import champion_as_of
from tests.support.worlds.scored_world import promote
from tests.support.worlds.training_world import PROJECT, World


def _then(world: World, partition: str) -> int:
    return champion_as_of(world.context(StepName.SCORE, partition)).version


def test_who_was_champion_depends_on_when_the_partition_began(world: World) -> None:
    promote(world, 1, "2024-02")
    promote(world, 2, "2024-04")
    assert [_then(world, partition) for partition in ("2024-03", "2024-04", "2024-05", "2024-12")] == [1, 1, 2, 2]
    with pytest.raises(NothingToDoError, match=r"fitted up to 2024-02, .*ends with 2024-01 or earlier"):
        _then(world, "2024-02")


def test_a_rollback_counts_like_any_promotion(world: World) -> None:
    promote(world, 1, "2024-02")
    promote(world, 2, "2024-03")
    promote(world, 1, "2024-02")
    assert _then(world, "2024-05") == 1


def test_a_promotion_that_failed_does_not_count(world: World) -> None:
    promote(world, 1, "2024-02")
    promote(world, 2, "2024-03", LedgerEvent.FAILED)
    assert _then(world, "2024-05") == 1


def test_evidence_that_was_changed_is_refused(world: World) -> None:
    champion = promote(world, 1, "2024-04")
    (key,) = [key for key in world.objects.contents if key.endswith("-evidence.json")]
    world.objects.contents[key] = world.objects.contents[key].replace(b"2024-04", b"2024-01")
    assert key.startswith(bundle_prefix(PROJECT, champion.digest))
    with pytest.raises(DataRejectedError, match=r"evidence of version 1 of model 'lateness', .*, was changed"):
        _then(world, "2024-02")


def test_a_ledger_that_was_changed_is_refused(world: World) -> None:
    promote(world, 1, "2024-02")
    promote(world, 2, "2024-03")
    key = ledger_key(PROJECT, "lateness", 1)
    world.objects.contents[key] = world.objects.contents[key].replace(b"gates passed", b"gates failed")
    with pytest.raises(DataRejectedError, match="does not follow the one before"):
        _then(world, "2024-05")
