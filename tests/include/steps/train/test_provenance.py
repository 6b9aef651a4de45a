"""Receipts of the rows, identified by their content."""

import pytest

from include.contract.step_names import StepName
from include.errors import DataRejectedError
from include.steps.train.provenance import features_table, validated_partitions
from tests.support.worlds.training_world import MONTHS, World, toy_rows


def test_each_partition_comes_with_the_receipts_of_exactly_its_rows() -> None:
    world = World()
    world.fill(*MONTHS)
    context = world.context(StepName.TRAIN)

    partitions = validated_partitions(context, MONTHS)

    assert features_table(context) == world.table
    assert [one.state.partition for one in partitions] == list(MONTHS)
    assert {one.state.version for one in partitions} == {4}
    assert partitions[0].features.outputs[0] == partitions[0].state.model_copy(update={"version": 0})
    assert partitions[0].validations[0].outputs == partitions[0].features.inputs
    described = partitions[0].described()
    assert described.partition == "2024-01"
    assert described.validations == (partitions[0].validations[0].identity,)


def test_rows_that_were_written_again_have_their_own_receipt() -> None:
    world = World()
    world.fill(*MONTHS)
    before = validated_partitions(world.context(StepName.TRAIN), MONTHS)
    world.add("2024-03", toy_rows("2024-03", seed=5))

    after = validated_partitions(world.context(StepName.TRAIN), MONTHS)

    assert after[2].features.identity != before[2].features.identity
    assert after[1].features.identity == before[1].features.identity


def test_rows_put_back_as_they_were_are_validated_again() -> None:
    world = World()
    world.fill(*MONTHS)
    rows = world.tables.read(world.table, "2024-03")
    world.tables.write(world.table, "2024-03", rows.slice(1), stamp={})
    world.tables.write(world.table, "2024-03", rows, stamp={})

    assert len(validated_partitions(world.context(StepName.TRAIN), MONTHS)) == 5


def test_missing_partitions_are_named_with_the_command_that_makes_them() -> None:
    world = World()
    world.fill("2024-01", "2024-03")

    with pytest.raises(DataRejectedError, match=r"no partition 2024-02, but .* is 2024-01 to 2024-03\. Run 'validate'"):
        validated_partitions(world.context(StepName.TRAIN), ["2024-01", "2024-02", "2024-03"])


def test_features_that_came_from_nowhere_are_refused() -> None:
    world = World()
    sealed = world.add("2024-01", toy_rows("2024-01"))
    for key in [key for key in world.objects.contents if "/features/" in key]:
        del world.objects.contents[key]
    world.receipt(StepName.FEATURES, "2024-01", (), (sealed,))

    with pytest.raises(DataRejectedError, match=r"no validation receipt names: their receipt names no input"):
        validated_partitions(world.context(StepName.TRAIN), ["2024-01"])
