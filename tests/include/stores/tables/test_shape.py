import pyarrow as pa
import pytest

from include.errors import DataRejectedError
from include.stores.tables.shape import check_columns, checked_partition, checked_table, never_written, selected


def test_names_of_the_layout_are_names() -> None:
    assert checked_table("flights/features/departure_delay_v1") == "flights/features/departure_delay_v1"
    assert checked_partition("2013-03-09") == "2013-03-09"


def test_columns_in_another_order_fit() -> None:
    one, other = pa.schema({"a": pa.int64(), "b": pa.string()}), pa.schema({"b": pa.string(), "a": pa.int64()})
    check_columns("t", one, other)


def test_everything_that_does_not_fit_is_reported_at_once_with_what_to_do() -> None:
    has = pa.schema({"a": pa.int64(), "b": pa.string()})
    given = pa.schema({"a": pa.float64(), "c": pa.string()})
    reported = r"missing: b; new: c; of another type: a \(int64, now double\).*raise the feature set's version"
    with pytest.raises(DataRejectedError, match=reported):
        check_columns("t", has, given)


def test_a_missing_column_has_a_near_name() -> None:
    with pytest.raises(DataRejectedError, match=r"no column temperatur\. Did you mean 'temperature'\?"):
        selected("t", pa.table({"hour": [1]}), ["temperatur"], ["hour", "temperature"])


def test_what_was_never_written_states_which_step_to_run() -> None:
    assert str(never_written("t", "2013-03", 4)).endswith(
        "in version 4. Run the step that writes it for 2013-03 first."
    )
