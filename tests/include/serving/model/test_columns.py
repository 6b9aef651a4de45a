import math

import numpy as np
import pytest

from include.contract.model_files import InputColumn
from include.serving.model.columns import RawTable, Signature, is_mandatory, join_columns, to_frame
from include.serving.request_error import RequestError


def signature(**types: str) -> Signature:
    return Signature(tuple(InputColumn(name=name, type=kind) for name, kind in types.items()))


def typed(kind: str, *values: object) -> object:
    columns = signature(x=kind).typed(RawTable({"x": values}, len(values)))
    return columns["x"].tolist()


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("double", (1, 2.5, "3.5", True), [1.0, 2.5, 3.5, 1.0]),
        ("float", (0.5, 2), [0.5, 2.0]),
        ("long", (1, 2.0, "3", True), [1, 2, 3, 1]),
        ("integer", (7, -7), [7, -7]),
        ("boolean", (True, 0, "false"), [True, False, False]),
        ("string", ("a", ""), ["a", ""]),
    ],
)
def test_values_that_keep_their_meaning_are_converted(kind: str, values: tuple[object, ...], expected: object) -> None:
    assert typed(kind, *values) == expected


def test_null_is_missing_in_numbers_strings_and_dates() -> None:
    columns = signature(a="double", b="string", c="datetime").typed(
        RawTable({"a": [None], "b": [None], "c": [None]}, 1)
    )
    assert math.isnan(columns["a"][0])
    assert math.isnan(columns["b"][0])
    assert np.isnat(columns["c"][0])


def test_date_and_time_is_read_to_the_nanosecond() -> None:
    columns = signature(at="datetime").typed(RawTable({"at": ["2013-03-09T18:30:00", "2013-03-10"]}, 2))
    assert columns["at"].dtype == np.dtype("datetime64[ns]")
    assert columns["at"][0] == np.datetime64("2013-03-09T18:30:00")


@pytest.mark.parametrize(
    ("kind", "values", "row"),
    [
        ("double", (1.0, "abc"), 1),
        ("double", (1.0, [2.0]), 1),
        ("double", (10**400,), 0),
        ("long", (1, 1.7), 1),
        ("long", (None,), 0),
        ("long", (2**70,), 0),
        ("integer", (1, 2**40), 1),
        ("boolean", (True, 2), 1),
        ("boolean", ("yes",), 0),
        ("string", ("a", "b", 3), 2),
        ("datetime", ("2013-03-09", "soon"), 1),
        ("datetime", ("2013-03-09T18:30:00+02:00",), 0),
        ("datetime", (True,), 0),
    ],
)
def test_value_that_would_change_is_refused_with_row_and_field(kind: str, values: tuple[object, ...], row: int) -> None:
    with pytest.raises(RequestError, match=f"Row {row} .*column 'x'") as caught:
        typed(kind, *values)
    assert (caught.value.field, caught.value.row, caught.value.status) == ("x", row, 400)


def test_column_that_cannot_be_null_is_named() -> None:
    with pytest.raises(RequestError, match="cannot be null"):
        typed("long", 1, None)


def test_unknown_column_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RequestError, match=r"Unknown column 'distanze'\. Did you mean 'distance'\?") as caught:
        signature(distance="double").typed(RawTable({"distanze": [1.0]}, 1))
    assert caught.value.field == "distanze"


def test_misspelt_column_that_may_be_left_out_is_refused_too() -> None:
    inputs = (InputColumn(name="a", type="double"), InputColumn(name="distance", type="double", required=False))
    with pytest.raises(RequestError, match=r"Unknown column 'distanze'\. Did you mean 'distance'\?"):
        Signature(inputs).typed(RawTable({"a": [1.0], "distanze": [1.0]}, 1))


def test_column_of_another_version_is_ignored() -> None:
    table = RawTable({"distance": [1.0], "more": [1.0], "distance_2h": [1.0]}, 1)
    assert list(signature(distance="double").typed(table)) == ["distance"]


def test_unknown_column_is_refused_where_that_is_set() -> None:
    strict = Signature(signature(distance="double").inputs, ignore_unknown=False)
    with pytest.raises(RequestError, match=r"Unknown column 'more'\. The model's columns: distance"):
        strict.typed(RawTable({"distance": [1.0], "more": [1.0]}, 1))


def test_missing_required_columns_are_named() -> None:
    with pytest.raises(RequestError, match=r"requires column 'a'.*Missing: a, b") as caught:
        signature(a="double", b="double", c="double").typed(RawTable({"c": [1.0]}, 1))
    assert caught.value.field == "a"


def test_optional_column_that_is_left_out_is_missing_in_every_row() -> None:
    inputs = (InputColumn(name="a", type="double"), InputColumn(name="b", type="double", required=False))
    columns = Signature(inputs).typed(RawTable({"a": [1.0, 2.0]}, 2))
    assert np.isnan(columns["b"]).tolist() == [True, True]


def test_optional_column_without_a_null_is_required_all_the_same() -> None:
    assert is_mandatory(InputColumn(name="a", type="long", required=False))
    assert not is_mandatory(InputColumn(name="a", type="double", required=False))


def test_no_row_is_refused() -> None:
    with pytest.raises(RequestError, match="holds no row"):
        signature(a="double").typed(RawTable({"a": []}, 0))


def test_columns_come_in_the_order_of_the_model() -> None:
    columns = signature(a="double", b="double").typed(RawTable({"b": [1.0], "a": [2.0]}, 1))
    assert list(columns) == ["a", "b"]


def test_frame_holds_strings_as_pandas_does() -> None:
    frame = to_frame({"a": np.array(["x", math.nan], dtype=object), "b": np.array([1.0, 2.0])})
    assert str(frame["a"].dtype) == "str"
    assert frame["a"].isna().tolist() == [False, True]
    assert list(to_frame({"a": frame["b"].to_numpy(), "b": frame["b"].to_numpy()}, ["b"]).columns) == ["b"]


def test_requests_are_joined_row_below_row() -> None:
    one, two = {"a": np.array([1.0])}, {"a": np.array([2.0, 3.0])}
    assert join_columns([one]) is one
    assert join_columns([one, two])["a"].tolist() == [1.0, 2.0, 3.0]
