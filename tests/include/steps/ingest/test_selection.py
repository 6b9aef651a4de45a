from datetime import UTC, datetime

import pyarrow as pa
import pytest

from include.errors import DataRejectedError
from include.steps.ingest.rows import RawRows
from include.steps.ingest.selection import Selected, select
from tests.support.data_steps import source_of

BOUNDS = (datetime(2013, 3, 1, 5, tzinfo=UTC), datetime(2013, 4, 1, 4, tzinfo=UTC))
COLUMNS = ("order_id", "customer", "placed_at", "amount", "paid")


def batch(*rows: tuple[str | None, ...]) -> pa.RecordBatch:
    columns = [pa.array(values, pa.string()) for values in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=list(COLUMNS))


def order(number: str, at: str | None = "2013-03-05T12:00:00Z", amount: str | None = "1") -> tuple[str | None, ...]:
    return (number, "ann", at, amount, "true")


def choose(*batches: pa.RecordBatch, **overrides: object) -> Selected:
    return select("x", RawRows(batches=iter(batches), from_text=True), source_of(overrides), BOUNDS)


def test_counts_what_it_leaves() -> None:
    chosen = choose(batch(order("1"), order("2", "2013-05-01T00:00:00Z")), batch(order("3", "2012-01-01T00:00:00Z")))
    assert (chosen.rows.num_rows, chosen.rows_read, chosen.rows_outside, chosen.rows_timeless) == (1, 3, 2, 0)


def test_a_text_that_is_no_number_in_another_partition_is_its_own_affair() -> None:
    chosen = choose(batch(order("1"), order("2", "2013-05-01T00:00:00Z", amount="many")))
    assert chosen.rows.column("amount").to_pylist() == [1.0]


def test_positions_are_those_in_the_source() -> None:
    first = batch(order("1", "2013-05-01T00:00:00Z"), order("2"))
    second = batch(order("3", "2013-05-01T00:00:00Z"), order("4", amount="many"), order("5"))
    with pytest.raises(DataRejectedError, match=r"but 1 value is not; first in row 4"):
        choose(first, second)


def test_bad_times_are_counted_over_all_batches() -> None:
    with pytest.raises(DataRejectedError, match=r"'placed_at' .*, but 2 values are not; first in row 2"):
        choose(batch(order("1"), order("2", "soon")), batch(order("3", "later"), order("4")))


def test_rows_without_time_may_be_left_out() -> None:
    columns = {name: {"type": "string", "meaning": "Any."} for name in COLUMNS}
    columns["placed_at"] = {"type": "timestamp", "meaning": "When.", "nulls_at_most": 0.5}  # type: ignore[dict-item]
    chosen = choose(batch(order("1"), order("2", None)), columns=columns, times={}, checks=[])
    assert (chosen.rows.num_rows, chosen.rows_outside, chosen.rows_timeless) == (1, 0, 1)


def test_moments_without_zone_are_in_utc() -> None:
    assert choose(batch(order("1", "2013-03-01 05:00:00"), order("2", "2013-03-01 04:59:59"))).rows.num_rows == 1


def test_moments_with_and_without_zone_may_be_mixed() -> None:
    chosen = choose(batch(order("1", "2013-03-05T12:00:00"), order("2"), order("3", "2013-03-05T12:00:00")))
    assert (chosen.rows.num_rows, chosen.rows_outside, chosen.rows_timeless) == (3, 0, 0)
    assert len(set(chosen.rows.column("placed_at").to_pylist())) == 1
