from datetime import UTC, datetime

import pyarrow as pa
import pytest

from include.modeling.arrow_types import arrow_schema
from include.steps.validate.findings import Finding
from include.steps.validate.prelude import row_findings, shape_findings
from tests.support.data_steps import source_of

BOUNDS = (datetime(2013, 3, 1, 5, tzinfo=UTC), datetime(2013, 4, 1, 4, tzinfo=UTC))
SOURCE = source_of()


def rows(**columns: list[object]) -> pa.Table:
    count = len(next(iter(columns.values()), [1, 2, 3]))
    whole: dict[str, list[object]] = {
        "order_id": list(range(count)),
        "customer": ["ann"] * count,
        "placed_at": [datetime(2013, 3, 5, tzinfo=UTC)] * count,
        "amount": [1.0] * count,
        "paid": [True] * count,
    }
    return pa.table(whole | columns, schema=arrow_schema(SOURCE.columns))


def findings(table: pa.Table) -> dict[str, Finding]:
    findings = [*shape_findings(table, SOURCE), *row_findings(table, SOURCE, BOUNDS)]
    return {finding.rule: finding for finding in findings}


def broken(table: pa.Table) -> dict[str, int]:
    return {rule: finding.failed for rule, finding in findings(table).items() if not finding.passed}


def test_good_rows_break_nothing() -> None:
    assert broken(rows()) == {}
    assert list(findings(rows())) == [
        "row_count", "columns", "not_null(order_id)", "not_null(customer)", "not_null(placed_at)",
        "nulls_at_most(amount)", "not_null(paid)", "unique_key", "inside_partition(placed_at)",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 2, 1001])
def test_number_of_rows(count: int) -> None:
    (finding, _) = shape_findings(rows(order_id=list(range(count))), SOURCE)
    assert (finding.passed, finding.observed) == (False, count)


@pytest.mark.parametrize(
    "table",
    [
        rows().drop_columns(["paid"]),
        rows().append_column("note", pa.array(["a", "b", "c"])),
        rows().set_column(0, "order_id", pa.array([1.0, 2.0, 3.0])),
    ],
    ids=["missing", "new", "type"],
)
def test_columns(table: pa.Table) -> None:
    (_, finding) = shape_findings(table, SOURCE)
    assert (finding.passed, finding.observed) == (False, 1)


def test_nulls() -> None:
    assert broken(rows(customer=["ann", None, None])) == {"not_null(customer)": 2}
    assert broken(rows(amount=[1.0, 2.0, None])) == {}
    assert broken(rows(amount=[1.0, None, None])) == {"nulls_at_most(amount)": 1}


def test_all_rows_of_a_key_but_the_first() -> None:
    finding = findings(rows(order_id=[1, 2, 1, 1]))["unique_key"]
    assert finding.bad is not None
    assert finding.bad.tolist() == [False, False, True, True]


def test_rows_outside_of_the_partition() -> None:
    early, late = datetime(2013, 3, 1, 4, 59, tzinfo=UTC), datetime(2013, 4, 1, 3, 59, tzinfo=UTC)
    finding = findings(rows(placed_at=[BOUNDS[0], early, late, BOUNDS[1]]))["inside_partition(placed_at)"]
    assert finding.bad is not None
    assert finding.bad.tolist() == [False, True, False, True]
