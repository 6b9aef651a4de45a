import numpy as np
import pyarrow as pa

from include.steps.validate.findings import Finding, SourceValidation


def validation(*findings: Finding, bad: int = 0, of: int = 10, ceiling: float = 0.2) -> SourceValidation:
    mask = np.arange(of) < bad
    return SourceValidation(
        source="x", rows=pa.table({"a": range(of)}), findings=findings, bad=mask, quarantine_at_most=ceiling
    )


BROKEN = Finding(rule="row_count", kind="partition", checked=10, failed=1, observed=10, allowed="from 20 to 30 rows")
BAD_ROWS = Finding(rule="unique_key", kind="rows", checked=10, failed=2, bad=np.arange(10) < 2)


def test_a_summary() -> None:
    assert BROKEN.summary() == "row_count: observed 10, allowed from 20 to 30 rows"
    assert BAD_ROWS.summary() == "unique_key: 2 of 10 rows"
    assert Finding(rule="x", kind="partition", checked=1, failed=1).summary() == "x: broken"


def test_a_document_holds_no_mask() -> None:
    assert set(BAD_ROWS.document()) == {"rule", "kind", "level", "passed", "checked", "failed", "allowed", "meaning"}
    assert BROKEN.document()["observed"] == 10


def test_rows_up_to_the_ceiling_are_no_fault() -> None:
    assert validation(BAD_ROWS, bad=2).faults == []
    assert validation(BAD_ROWS, bad=3).faults == [
        "3 of 10 rows (30.00%) are bad, quarantine_at_most is 20.00% (unique_key: 2 of 10 rows)"
    ]


def test_a_broken_rule_of_the_partition_is_a_fault_unless_it_only_warns() -> None:
    assert validation(BROKEN).faults == ["row_count: observed 10, allowed from 20 to 30 rows"]
    warned = Finding(rule="row_count", kind="partition", level="warning", checked=10, failed=1)
    assert validation(warned).faults == []


def test_a_partition_without_a_good_row_is_a_fault_whatever_the_ceiling() -> None:
    assert validation(bad=10, ceiling=1.0).faults == ["none of the 10 rows is good"]
    assert validation(of=0).share == 0.0
