"""Selects the rows of one partition and converts their columns to the types of the spec."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from include.errors import DataRejectedError
from include.modeling.arrow_types import MEANINGS, Misfit, converted
from include.spec.sources import ColumnSpec, ColumnType, SourceSpec
from include.steps.ingest.rows import RawRows

if TYPE_CHECKING:
    import pyarrow as pa

_ADVICE = "Correct it at its origin and run the step again."


@dataclass(frozen=True)
class Selected:
    """The rows of one partition, in the order in which they were written, and how many were left out."""

    rows: "pa.Table"
    """The columns of the spec, in its order and types."""
    rows_read: int
    rows_outside: int
    """Rows of other partitions."""
    rows_timeless: int
    """Rows without event time, which belong to no partition."""


@dataclass
class _Selection:
    """What the batches read so far contributed."""

    batches: "list[pa.RecordBatch]" = field(default_factory=list)
    masks: "list[pa.Array | None]" = field(default_factory=list)
    """For each batch that was read, which of its rows were kept; None for all."""
    lengths: list[int] = field(default_factory=list)
    rows_timeless: int = 0
    misfits: int = 0
    first_misfit: int = -1
    first_timeless: int = -1

    @property
    def rows_read(self) -> int:
        return sum(self.lengths)

    def position(self, kept: int) -> int:
        """Position in the source of the n-th row kept, from 0."""
        import pyarrow.compute as pc

        before = 0
        for mask, length in zip(self.masks, self.lengths, strict=True):
            count = length if mask is None else pc.sum(mask).as_py() or 0
            if kept < count:
                return before + (kept if mask is None else pc.indices_nonzero(mask)[kept].as_py())
            kept, before = kept - count, before + length
        return before + kept


def select(name: str, raw: RawRows, source: SourceSpec, bounds: tuple[datetime, datetime]) -> Selected:
    """
    The rows of one partition: those whose event time is within the bounds, or all rows of a source without event time.

    :param name: of the source, for messages.
    :param raw: rows as the source holds them; they are read here.
    :param bounds: first moment of the partition, and first moment after it.
    :raises DataRejectedError: if there is no row, no row of the partition, a value that is not of its column's type, or
        more rows without event time than the spec allows.
    """
    import pyarrow as pa

    selection = _Selection()
    for batch in raw.batches:
        _add(selection, batch, raw, source, bounds)
    if not selection.rows_read:
        message = f"{name} has a header and no rows. Write it anew at its origin and run the step again."
        raise DataRejectedError(message)
    _check_times(name, selection, raw, source)
    rows = pa.Table.from_batches(selection.batches) if selection.batches else None
    if rows is None or not rows.num_rows:
        message = (
            f"{name} has {selection.rows_read} rows and none with {source.event_time} from {bounds[0]} to {bounds[1]}. "
        )
        raise DataRejectedError(message + "Add the partition's rows at the origin, or run a partition that it has.")
    # Only the partition's rows are typed: a bad value in another month must not stop this one.
    columns = {
        column: _typed(name, rows.column(column), spec, selection=selection, raw=raw, column=column)
        for column, spec in source.columns.items()
    }
    outside = selection.rows_read - rows.num_rows - selection.rows_timeless
    return Selected(pa.table(columns), selection.rows_read, rows_outside=outside, rows_timeless=selection.rows_timeless)


def _add(
    selection: _Selection, batch: "pa.RecordBatch", raw: RawRows, source: SourceSpec, bounds: tuple[datetime, datetime]
) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    before = selection.rows_read
    selection.lengths.append(batch.num_rows)
    if source.event_time is None:
        selection.masks.append(None)
        selection.batches.append(batch)
        return
    written = batch.column(source.event_time)
    times = converted(pa.chunked_array([written]), ColumnType.TIMESTAMP, from_text=raw.from_text)
    if isinstance(times, Misfit):
        selection.misfits += times.count
        selection.first_misfit = before + times.first if selection.first_misfit < 0 else selection.first_misfit
        selection.masks.append(pa.array([False] * batch.num_rows))
        return
    if times.null_count:
        selection.rows_timeless += times.null_count
        if selection.first_timeless < 0:
            selection.first_timeless = before + pc.index(pc.is_null(times), value=True).as_py()
    start, end = (pa.scalar(moment, times.type) for moment in bounds)
    inside = pc.fill_null(pc.and_(pc.greater_equal(times, start), pc.less(times, end)), fill_value=False)
    mask = inside.combine_chunks()
    selection.masks.append(mask)
    if kept := pc.sum(mask).as_py():
        selection.batches.append(batch if kept == batch.num_rows else batch.filter(mask))


def _check_times(name: str, selection: _Selection, raw: RawRows, source: SourceSpec) -> None:
    column = source.event_time or ""
    if selection.misfits:
        raise _rejection(name, column, ColumnType.TIMESTAMP, selection.misfits, raw.locate(selection.first_misfit))
    if not selection.rows_timeless:
        return
    share = selection.rows_timeless / selection.rows_read
    ceiling = source.columns[column].nulls_at_most
    if share > ceiling:
        message = (
            f"{name}: {selection.rows_timeless} of {selection.rows_read} rows have no {column} and so belong to no "
            f"partition (first in {raw.locate(selection.first_timeless)}); sources.*.columns.{column}.nulls_at_most is "
            f"{ceiling}. {_ADVICE}"
        )
        raise DataRejectedError(message)


def _typed(
    name: str, values: "pa.ChunkedArray", spec: ColumnSpec, *, selection: _Selection, raw: RawRows, column: str
) -> "pa.ChunkedArray":
    made = converted(values, spec.type, from_text=raw.from_text)
    if isinstance(made, Misfit):
        raise _rejection(name, column, spec.type, made.count, raw.locate(selection.position(made.first)))
    return made


def _rejection(name: str, column: str, kind: ColumnType, count: int, row: str) -> DataRejectedError:
    """The error for values that are not of their column's type; it locates them and never shows them."""
    values = "1 value is" if count == 1 else f"{count} values are"
    message = (
        f"{name}: column '{column}' is {kind.value} ({MEANINGS[kind]}), but {values} not; first in {row}. {_ADVICE}"
    )
    return DataRejectedError(message)
