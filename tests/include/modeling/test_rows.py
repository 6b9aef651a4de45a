"""Rows of the features table as a model sees them."""

import numpy as np
import pyarrow as pa
import pytest

from include.errors import DataRejectedError
from include.modeling.rows import Rows, model_types, read_rows
from include.stores.tables.memory import MemoryTables

NAME = "toy/features/lateness_v1"


def _read(*parts: pa.Table) -> Rows:
    tables = MemoryTables()
    states = [tables.write(NAME, f"2024-{number:02d}", part, stamp={}) for number, part in enumerate(parts, 1)]
    return read_rows(tables, states, [name for name in parts[0].column_names if name != "late"], "late")


def _part(**columns: list[object]) -> pa.Table:
    types = {"place": pa.string(), "riders": pa.int64(), "size": pa.float64(), "wet": pa.bool_(), "late": pa.int64()}
    return pa.table({name: pa.array(values, type=types[name]) for name, values in columns.items()})


def test_partitions_follow_one_another_in_written_order() -> None:
    rows = _read(_part(place=["b", "a"], late=[1, 0]), _part(place=["c"], late=[1]))

    assert rows.features["place"].tolist() == ["b", "a", "c"]
    assert rows.target.tolist() == [1, 0, 1]
    assert len(rows) == 3


def test_types_are_those_of_a_signature_and_nulls_make_numbers() -> None:
    whole = _read(_part(place=["a"], riders=[1], size=[0.5], wet=[True], late=[0]))
    with_nulls = _read(_part(place=[None], riders=[None], size=[None], wet=[None], late=[0]))

    assert model_types(whole.features) == {"place": "string", "riders": "long", "size": "double", "wet": "boolean"}
    assert model_types(with_nulls.features) | {"place": "string"} == {
        "place": "string",
        "riders": "double",
        "size": "double",
        "wet": "double",
    }


def test_one_partition_with_nulls_makes_the_whole_column_a_number() -> None:
    rows = _read(_part(riders=[1, 2], wet=[True, False], late=[0, 1]), _part(riders=[None], wet=[None], late=[0]))

    assert model_types(rows.features) == {"riders": "double", "wet": "double"}
    assert rows.features["wet"].tolist()[:2] == [1.0, 0.0]
    assert np.isnan(rows.features["riders"].iloc[2])


def test_parts_are_joined_and_features_chosen() -> None:
    first = _read(_part(place=["a"], size=[1.0], late=[0]))
    second = _read(_part(place=["b"], size=[2.0], late=[1]))

    joined = Rows.joined(first, second).only(["size"])

    assert joined.features.columns.tolist() == ["size"]
    assert joined.features["size"].tolist() == [1.0, 2.0]
    assert joined.target.tolist() == [0, 1]


def test_a_target_that_is_null_is_refused() -> None:
    with pytest.raises(DataRejectedError, match=r"partition 2024-01: target 'late' is null in 1 rows"):
        _read(_part(place=["a", "b"], late=[0, None]))
