"""Validates one source's partition: the rules that hold for every source, then the checks of its spec."""

from datetime import datetime
from typing import TYPE_CHECKING

from include.spec.sources import SourceSpec
from include.steps.validate.expectations import check_findings, columns_of
from include.steps.validate.findings import Finding, SourceValidation
from include.steps.validate.prelude import row_findings, shape_findings

if TYPE_CHECKING:
    import pyarrow as pa

    from include.steps.validate.findings import Mask

REASON = "reason"
"""Column of the quarantine: the rules that a row breaks."""


def validate_source(
    name: str, rows: "pa.Table", source: SourceSpec, bounds: tuple[datetime, datetime]
) -> SourceValidation:
    """
    Check all rules, even if the first of them fail, so that one report names everything that is wrong.

    :param name: of the source.
    :param rows: one row per ingested row of the partition.
    :param bounds: first moment of the partition, and first moment after it.
    :raises ConfigurationError: if a check does not fit the type of its column.
    """
    findings = shape_findings(rows, source)
    if findings[-1].passed and rows.num_rows:
        findings += row_findings(rows, source, bounds)
        findings += check_findings(name, rows.select(columns_of(source.checks)).to_pandas(), source.checks)
    return SourceValidation(
        source=name,
        rows=rows,
        findings=tuple(findings),
        bad=_bad_rows(findings, rows.num_rows),
        quarantine_at_most=source.quarantine_at_most,
    )


def _bad_rows(findings: list[Finding], row_count: int) -> "Mask":
    import numpy as np

    bad = np.zeros(row_count, dtype=bool)
    for finding in findings:
        if finding.bad is not None and finding.level == "error":
            bad |= finding.bad
    return bad


def good_rows(validation: SourceValidation) -> "pa.Table":
    """The rows that break no rule of level error, in their order."""
    import pyarrow as pa

    return validation.rows.filter(pa.array(~validation.bad)) if validation.quarantined else validation.rows


def bad_rows(validation: SourceValidation) -> "pa.Table":
    """The rows that break a rule of level error, with the names of these rules in the column ``reason``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    bad = pa.array(validation.bad)
    rows = validation.rows.filter(bad)
    broken = [one for one in validation.findings if one.bad is not None and one.level == "error"]
    none = pa.scalar(None, pa.string())
    rules = [pc.if_else(pa.array(one.bad).filter(bad), one.rule, none) for one in broken]
    reasons = pc.binary_join_element_wise(*rules, "; ", null_handling="skip") if rules else pa.array([], pa.string())
    return rows.append_column(REASON, reasons)
