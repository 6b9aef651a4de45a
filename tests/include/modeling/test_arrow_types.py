from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from include.modeling.arrow_types import Misfit, arrow_schema, arrow_type, converted
from include.spec.sources import ColumnType
from tests.support.data_steps import source_of

AT = datetime(2013, 3, 1, 5, tzinfo=UTC)


def test_every_type_has_one_in_arrow() -> None:
    assert {str(arrow_type(kind)) for kind in ColumnType} == {
        "string",
        "int64",
        "double",
        "bool",
        "timestamp[us, tz=UTC]",
    }


def test_a_source_in_the_order_of_its_spec() -> None:
    assert arrow_schema(source_of().columns).names == ["order_id", "customer", "placed_at", "amount", "paid"]


GOOD = [
    (ColumnType.INT64, [" 5", "-7", None], [5, -7, None]),
    (ColumnType.FLOAT64, ["5", "1e3 ", "nan", None], [5.0, 1000.0, None, None]),
    (ColumnType.BOOL, ["true", "FALSE", "1", "0", None], [True, False, True, False, None]),
    (ColumnType.STRING, [" a ", "", None], [" a ", "", None]),
    (ColumnType.TIMESTAMP, ["2013-03-01T05:00:00Z", "2013-03-01 00:00:00-05:00"], [AT, AT]),
    (ColumnType.TIMESTAMP, ["2013-03-01T05:00:00"], [AT]),
    (ColumnType.TIMESTAMP, ["2013-03-01T05:00:00", None, "2013-03-01 00:00:00-05:00"], [AT, None, AT]),
]


@pytest.mark.parametrize(("kind", "written", "meant"), GOOD)
def test_text(kind: ColumnType, written: list[str], meant: list[object]) -> None:
    made = converted(pa.chunked_array([written], pa.string()), kind, from_text=True)
    assert isinstance(made, pa.ChunkedArray)
    assert made.to_pylist() == meant
    assert made.type == arrow_type(kind)


BAD = [
    (ColumnType.INT64, ["1", "5.0", "x", "99999999999999999999"], Misfit(3, 1)),
    (ColumnType.FLOAT64, [None, "1,5"], Misfit(1, 1)),
    (ColumnType.BOOL, ["yes", "true"], Misfit(1, 0)),
    (ColumnType.TIMESTAMP, ["2013-03-01T05:00:00Z", "01.03.2013"], Misfit(1, 1)),
]


@pytest.mark.parametrize(("kind", "written", "misfit"), BAD)
def test_text_that_does_not_fit(kind: ColumnType, written: list[str], misfit: Misfit) -> None:
    assert converted(pa.chunked_array([written], pa.string()), kind, from_text=True) == misfit


TYPED = [
    (ColumnType.INT64, pa.array([1.0, None]), [1, None]),
    (ColumnType.FLOAT64, pa.array([Decimal("1.5")]), [1.5]),
    (ColumnType.TIMESTAMP, pa.array([date(2013, 3, 1)]), [datetime(2013, 3, 1, tzinfo=UTC)]),
    (ColumnType.TIMESTAMP, pa.array([datetime(2013, 3, 1, 5)]), [AT]),  # noqa: DTZ001 (what a moment without zone becomes)
    (ColumnType.BOOL, pa.nulls(2), [None, None]),
]


@pytest.mark.parametrize(("kind", "given", "meant"), TYPED)
def test_typed_columns(kind: ColumnType, given: pa.Array, meant: list[object]) -> None:
    made = converted(pa.chunked_array([given]), kind, from_text=False)
    assert isinstance(made, pa.ChunkedArray)
    assert made.to_pylist() == meant


MISTYPED = [
    (ColumnType.INT64, pa.array([None, "1"]), Misfit(1, 1)),
    (ColumnType.INT64, pa.array([1.5]), Misfit(1, 0)),
    (ColumnType.STRING, pa.array([1, 2]), Misfit(2, 0)),
    (ColumnType.BOOL, pa.array([1]), Misfit(1, 0)),
    (ColumnType.FLOAT64, pa.array([True]), Misfit(1, 0)),
    (ColumnType.TIMESTAMP, pa.array([1]), Misfit(1, 0)),
]


@pytest.mark.parametrize(("kind", "given", "misfit"), MISTYPED)
def test_typed_columns_that_do_not_fit(kind: ColumnType, given: pa.Array, misfit: Misfit) -> None:
    assert converted(pa.chunked_array([given]), kind, from_text=False) == misfit


def test_counting_is_exact() -> None:
    written = ["x" if number % 1000 == 7 else "1" for number in range(50_000)]
    assert converted(pa.chunked_array([written]), ColumnType.INT64, from_text=True) == Misfit(50, 7)
