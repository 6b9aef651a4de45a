"""
The rules that hold for every source, besides its own checks: no project can switch them off.

The number of rows is in its range, the columns are those of the spec, nulls stay below their ceilings, each key is
unique, and every row belongs to the partition. Most rules of Great Expectations pass on an empty or an all-null column;
these do not.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from include.modeling.arrow_types import arrow_schema
from include.spec.sources import SourceSpec
from include.steps.validate.findings import Finding

if TYPE_CHECKING:
    import pyarrow as pa

    from include.steps.validate.findings import Mask


_COLUMNS_ALLOWED = "none missing, new or of another type than in the spec (after a change of the spec, ingest again)"


def shape_findings(rows: "pa.Table", source: SourceSpec) -> list[Finding]:
    """The findings on the number of rows and on the columns; if the columns are wrong, nothing else can be checked."""
    count, wanted = rows.num_rows, arrow_schema(source.columns)
    wrong = sum(1 for field in wanted if field.name not in rows.column_names or rows.schema.field(field.name) != field)
    wrong += sum(1 for name in rows.column_names if name not in wanted.names)
    in_range = source.rows.at_least <= count <= source.rows.at_most
    return [
        Finding(
            rule="row_count",
            kind="partition",
            checked=count,
            failed=int(not in_range),
            observed=count,
            allowed=f"from {source.rows.at_least} to {source.rows.at_most} rows",
        ),
        Finding(
            rule="columns",
            kind="partition",
            checked=len(wanted),
            failed=int(wrong > 0),
            observed=wrong,
            allowed=_COLUMNS_ALLOWED,
        ),
    ]


def row_findings(rows: "pa.Table", source: SourceSpec, bounds: tuple[datetime, datetime]) -> Iterator[Finding]:
    """The findings on nulls, keys and event times, of rows whose columns are those of the spec."""
    for name, column in source.columns.items():
        # Where no null is allowed, its row can go to quarantine; a share can only be that of the whole partition.
        if name in source.key or column.nulls_at_most == 0.0:
            yield _present(rows, name)
        else:
            yield _null_share(rows, name, column.nulls_at_most)
    yield _unique_key(rows, source)
    if source.event_time is not None:
        yield _inside(rows, source.event_time, bounds)


def _rows_finding(rule: str, bad: "Mask", allowed: str) -> Finding:
    failed = int(bad.sum())
    return Finding(
        rule=rule, kind="rows", checked=len(bad), failed=failed, allowed=allowed, bad=bad if failed else None
    )


def _present(rows: "pa.Table", name: str) -> Finding:
    import numpy as np

    column = rows.column(name)
    if not column.null_count:
        return Finding(rule=f"not_null({name})", kind="rows", checked=rows.num_rows, allowed="no null")
    bad = column.is_null().to_numpy()
    return _rows_finding(f"not_null({name})", np.asarray(bad, dtype=bool), "no null")


def _null_share(rows: "pa.Table", name: str, ceiling: float) -> Finding:
    share = rows.column(name).null_count / rows.num_rows if rows.num_rows else 0.0
    return Finding(
        rule=f"nulls_at_most({name})",
        kind="partition",
        checked=rows.num_rows,
        failed=int(share > ceiling),
        observed=share,
        allowed=f"a share of at most {ceiling}",
    )


def _unique_key(rows: "pa.Table", source: SourceSpec) -> Finding:
    """All rows of a key but the first are bad; a null equals a null."""
    frame = rows.select(list(source.key)).to_pandas()
    bad = frame.duplicated(keep="first").to_numpy()
    return _rows_finding("unique_key", bad, f"one row for each {', '.join(source.key)}")


def _inside(rows: "pa.Table", event_time: str, bounds: tuple[datetime, datetime]) -> Finding:
    import pyarrow as pa
    import pyarrow.compute as pc

    times = rows.column(event_time)
    start, end = (pa.scalar(moment, times.type) for moment in bounds)
    outside = pc.or_(pc.less(times, start), pc.greater_equal(times, end)).fill_null(fill_value=False)
    allowed = f"{event_time} from {bounds[0]} to before {bounds[1]}"
    return _rows_finding(f"inside_partition({event_time})", outside.to_numpy(), allowed)
