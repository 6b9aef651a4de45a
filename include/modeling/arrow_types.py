"""The types of the spec's columns in Arrow, and the conversion of a source's values to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.spec.sources import ColumnSpec, ColumnType

if TYPE_CHECKING:
    import pyarrow as pa

MEANINGS = {
    ColumnType.STRING: "text",
    ColumnType.INT64: "a whole number",
    ColumnType.FLOAT64: "a number",
    ColumnType.BOOL: "true or false",
    ColumnType.TIMESTAMP: "a moment like 2013-03-01T05:00:00Z",
}
"""What a value of a type is, for messages."""


@dataclass(frozen=True)
class Misfit:
    """How many values of a column are not of its type, and the first of them; never the value itself."""

    count: int
    first: int
    """Position of the first one, from 0."""


def arrow_type(kind: ColumnType) -> "pa.DataType":
    """The type in which tables hold a column."""
    import pyarrow as pa

    return {
        ColumnType.STRING: pa.string(),
        ColumnType.INT64: pa.int64(),
        ColumnType.FLOAT64: pa.float64(),
        ColumnType.BOOL: pa.bool_(),
        ColumnType.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    }[kind]


def arrow_schema(columns: Mapping[str, ColumnSpec]) -> "pa.Schema":
    """The columns of a source, in the order of the spec."""
    import pyarrow as pa

    return pa.schema([(name, arrow_type(column.type)) for name, column in columns.items()])


def converted(column: "pa.ChunkedArray", kind: ColumnType, *, from_text: bool) -> "pa.ChunkedArray | Misfit":
    """
    The column in its type, or what does not fit.

    Nothing is lost on the way: ``5.5`` is no whole number. A moment without a zone is one in UTC. NaN is
    no value: null.

    :param from_text: whether numbers may be written as text, as in CSV.
    """
    import pyarrow as pa

    if not _may_become(column.type, kind, from_text=from_text):
        return _all_present(column)
    try:
        return _convert(column, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _misfit(column, kind)


def _may_become(found: "pa.DataType", kind: ColumnType, *, from_text: bool) -> bool:
    import pyarrow as pa

    types = pa.types
    if types.is_null(found):
        return True
    text = types.is_string(found) or types.is_large_string(found) or types.is_string_view(found)
    number = types.is_integer(found) or types.is_floating(found) or types.is_decimal(found)
    if kind is ColumnType.STRING:
        return bool(text)
    if kind is ColumnType.TIMESTAMP:
        return bool(text or types.is_timestamp(found) or types.is_date(found))
    if kind is ColumnType.BOOL:
        return bool(types.is_boolean(found) or (text and from_text))
    return bool(number or (text and from_text))


def _convert(column: "pa.ChunkedArray", kind: ColumnType) -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = arrow_type(kind)
    if column.type == wanted and kind is not ColumnType.FLOAT64:
        return column
    textual = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if textual and kind is not ColumnType.STRING:
        column = pc.utf8_trim_whitespace(column)
    if kind is ColumnType.TIMESTAMP:
        return _moments(column)
    made = pc.cast(column, wanted)
    if kind is ColumnType.FLOAT64 and pc.any(pc.is_nan(made)).as_py():
        made = pc.if_else(pc.is_nan(made), pa.scalar(None, wanted), made)
    return made


def _moments(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted, unzoned = pa.timestamp("us", tz="UTC"), pa.timestamp("us")
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        return pc.cast(column, wanted)
    try:
        return (
            pc.cast(column, wanted) if not pa.types.is_date(column.type) else pc.cast(pc.cast(column, unzoned), wanted)
        )
    except pa.ArrowInvalid:
        return pc.cast(pc.cast(column, unzoned), wanted)


def _all_present(column: "pa.ChunkedArray") -> "pa.ChunkedArray | Misfit":
    import pyarrow.compute as pc

    count = len(column) - column.null_count
    return Misfit(count, pc.index(pc.is_valid(column), value=True).as_py() if count else 0)


def _misfit(column: "pa.ChunkedArray", kind: ColumnType) -> Misfit:
    """Count what does not fit by halving: only the conversion itself knows what fits."""
    import pyarrow as pa

    count, first = 0, -1
    spans = [(0, len(column))]
    while spans:
        begin, length = spans.pop()
        try:
            _convert(column.slice(begin, length), kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            if length == 1:
                count, first = count + 1, begin if first < 0 else min(first, begin)
                continue
            half = length // 2
            spans += [(begin, half), (begin + half, length - half)]
    return Misfit(count, first)
