from datetime import UTC, datetime

import pyarrow as pa

from include.modeling.arrow_types import arrow_schema
from include.steps.validate.findings import SourceValidation
from include.steps.validate.rules import bad_rows, good_rows, validate_source
from tests.support.data_steps import source_of

BOUNDS = (datetime(2013, 3, 1, 5, tzinfo=UTC), datetime(2013, 4, 1, 4, tzinfo=UTC))
SOURCE = source_of()
ROWS = pa.table(
    {
        "order_id": [1, 2, 2, 3, 4],
        "customer": ["ann", "ann", "bob", "Ann", "ann"],
        "placed_at": [datetime(2013, 3, 5, tzinfo=UTC)] * 5,
        "amount": [1.0, 2.0, -1.0, 4.0, None],
        "paid": [True] * 5,
    },
    schema=arrow_schema(SOURCE.columns),
)


def validated(rows: pa.Table = ROWS) -> SourceValidation:
    return validate_source("orders", rows, SOURCE, BOUNDS)


def test_good_rows_and_bad_ones_with_reasons() -> None:
    validation = validated()
    assert validation.quarantined == 1
    assert good_rows(validation).column("order_id").to_pylist() == [1, 2, 3, 4]
    (bad,) = bad_rows(validation).to_pylist()
    assert (bad["customer"], bad["reason"]) == ("bob", "unique_key; expect_column_values_to_be_between(amount)")


def test_what_only_warns_sends_no_row_away() -> None:
    (warned,) = [finding for finding in validated().findings if finding.level == "warning"]
    assert (warned.failed, validated().bad[3]) == (1, False)


def test_no_bad_rows_is_an_empty_quarantine_of_the_same_columns() -> None:
    good = good_rows(validated())
    empty = bad_rows(validated(good))
    assert empty.num_rows == 0
    assert empty.column_names == [*ROWS.column_names, "reason"]


def test_without_its_columns_nothing_else_is_checked() -> None:
    validation = validated(ROWS.drop_columns(["paid"]))
    assert [finding.rule for finding in validation.findings] == ["row_count", "columns"]
    assert validation.faults != []


def test_no_rows_at_all() -> None:
    assert validated(ROWS.slice(0, 0)).faults == ["row_count: observed 0, allowed from 3 to 1000 rows"]
