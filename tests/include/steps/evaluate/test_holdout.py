"""The rows on which models are evaluated."""

import pytest

from include.errors import DataRejectedError
from include.steps.evaluate.holdout import fitted_groups, read_holdout
from tests.support.worlds.training_world import World, toy_rows


def test_test_partitions_are_read_with_groups_and_local_days() -> None:
    world = World()
    states = [world.add(month, toy_rows(month)) for month in ("2024-04", "2024-05")]

    rows = read_holdout(world.tables, states, world.spec)

    assert len(rows) == len(rows.frame) == 800
    assert "late" not in rows.frame.columns
    assert rows.target[:400].tolist() == toy_rows("2024-04")["late"].tolist()
    assert rows.groups.columns.tolist() == ["place", "month"]
    assert rows.groups["month"].unique().tolist() == ["2024-04", "2024-05"]
    assert str(rows.days[0]) == "2024-04-01"


def test_a_version_is_read_as_it_was() -> None:
    world = World()
    state = world.add("2024-05", toy_rows("2024-05"))
    world.add("2024-05", toy_rows("2024-05", seed=8))

    assert read_holdout(world.tables, [state], world.spec).target.tolist() == toy_rows("2024-05")["late"].tolist()


def test_one_class_only_cannot_be_evaluated() -> None:
    world = World()
    state = world.add("2024-05", toy_rows("2024-05").assign(late=1))

    with pytest.raises(
        DataRejectedError, match=r"is yes in all 400 rows of the test partitions 2024-05: no model can be"
    ):
        read_holdout(world.tables, [state], world.spec)


def test_the_baseline_learns_from_groups_and_target_alone() -> None:
    world = World()
    states = [world.add(month, toy_rows(month)) for month in ("2024-01", "2024-02")]

    groups, target = fitted_groups(world.tables, states, world.spec)

    assert groups.columns.tolist() == ["place"]
    assert len(groups) == len(target) == 800
