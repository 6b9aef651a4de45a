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
"""Description of a value of each type, for messages."""


@dataclass(frozen=True)
class Misfit:
    """How many values of a column are not of its type, and where the first is; never the value itself."""

    count: int
    first: int
    """Position of the first one, from 0."""


def arrow_type(kind: ColumnType) -> "pa.DataType":
    """The type in which tables hold a column."""
    import pyarrow as pa

    # Delta Lake stores timestamps in microseconds; nanoseconds would be truncated when a table is written.
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
    Convert a column to its type without loss: ``5.5`` is no whole number.

    A moment without a zone is taken for one in UTC. NaN becomes null.

    :param from_text: whether numbers and booleans may be written as text, as in CSV.
    :return: the converted column, or how many of its values do not fit.
    """
    import pyarrow as pa

    if not _may_become(column.type, kind, from_text=from_text):
        return _all_present(column)
    try:
        return _convert(column, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _by_halves(column, kind)


def _may_become(given: "pa.DataType", kind: ColumnType, *, from_text: bool) -> bool:
    import pyarrow as pa

    types = pa.types
    if types.is_null(given):
        return True
    text = types.is_string(given) or types.is_large_string(given) or types.is_string_view(given)
    number = types.is_integer(given) or types.is_floating(given) or types.is_decimal(given)
    if kind is ColumnType.STRING:
        return bool(text)
    if kind is ColumnType.TIMESTAMP:
        return bool(text or types.is_timestamp(given) or types.is_date(given))
    if kind is ColumnType.BOOL:
        return bool(types.is_boolean(given) or (text and from_text))
    return bool(number or (text and from_text))


def _convert(column: "pa.ChunkedArray", kind: ColumnType) -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    target = arrow_type(kind)
    if column.type == target and kind is not ColumnType.FLOAT64:
        return column
    # A cast from text refuses spaces around a number, which exports of databases often pad with.
    textual = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if textual and kind is not ColumnType.STRING:
        column = pc.utf8_trim_whitespace(column)
    if kind is ColumnType.TIMESTAMP:
        return _moments(column)
    result = pc.cast(column, target)
    if kind is ColumnType.FLOAT64 and pc.any(pc.is_nan(result)).as_py():
        result = pc.if_else(pc.is_nan(result), pa.scalar(None, target), result)
    return result


def _moments(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    import pyarrow as pa
    import pyarrow.compute as pc

    target, unzoned = pa.timestamp("us", tz="UTC"), pa.timestamp("us")
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        return pc.cast(column, target)
    try:
        # A cast of text to a type with a zone demands one in each value, and to a type without a zone refuses it. So
        # it is tried with a zone first, and values without one are read as UTC.
        return (
            pc.cast(column, target) if not pa.types.is_date(column.type) else pc.cast(pc.cast(column, unzoned), target)
        )
    except pa.ArrowInvalid:
        return pc.cast(pc.cast(column, unzoned), target)


def _all_present(column: "pa.ChunkedArray") -> "pa.ChunkedArray | Misfit":
    import pyarrow.compute as pc

    count = len(column) - column.null_count
    return Misfit(count, pc.index(pc.is_valid(column), value=True).as_py() if count else 0)


def _by_halves(column: "pa.ChunkedArray", kind: ColumnType) -> "pa.ChunkedArray | Misfit":
    """Convert a column whose cast as a whole failed, or count the values that do not fit."""
    import pyarrow as pa

    # Halves whose cast fails are halved again: Arrow's cast raises at the first misfit and does not count, and only the
    # cast itself decides what fits. Parts may fit where the whole does not: moments with and without a zone.
    count, first = 0, -1
    chunks: list[pa.Array] = []
    spans = [(0, len(column))]
    while spans:
        begin, length = spans.pop()
        try:
            chunks += _convert(column.slice(begin, length), kind).chunks
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            if length == 1:
                count, first = count + 1, begin if first < 0 else first
                continue
            half = length // 2
            spans += [(begin + half, length - half), (begin, half)]
    return Misfit(count, first) if count else pa.chunked_array([pa.concat_arrays(chunks)])
