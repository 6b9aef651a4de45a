import pytest

from include.errors import DataRejectedError
from include.steps.ingest.rows import RawRows, check_columns
from tests.support.data_steps import source_of

COLUMNS = ["order_id", "customer", "placed_at", "amount", "paid"]


def test_the_columns_of_the_spec_in_any_order() -> None:
    assert check_columns("x", COLUMNS[::-1], source_of()) == ()


def test_new_columns_may_be_ignored() -> None:
    assert check_columns("x", [*COLUMNS, "note"], source_of({"new_columns": "ignore"})) == ("note",)


def test_several_renamed_columns() -> None:
    columns = ["order_id", "customers", "placed_at", "amounts", "paid"]
    with pytest.raises(DataRejectedError, match=r"lacks columns of the spec: amount, customer\.") as raised:
        check_columns("x", columns, source_of())
    assert "Instead of 'amount': Did you mean 'amounts'?" in str(raised.value)


def test_missing_columns_are_refused_even_where_new_ones_are_ignored() -> None:
    with pytest.raises(DataRejectedError, match=r"x lacks columns of the spec: paid\."):
        check_columns("x", [*COLUMNS[:-1], "a", "b"], source_of({"new_columns": "ignore"}))


def test_what_stands_in_the_place_of_a_header_is_not_shown() -> None:
    with pytest.raises(DataRejectedError, match=r"none of the 5 columns") as raised:
        check_columns("x", ["CANARY", "1"], source_of())
    assert "CANARY" not in str(raised.value)


def test_rows_are_counted_from_one() -> None:
    assert RawRows(batches=iter(()), from_text=False).locate(0) == "row 1"
