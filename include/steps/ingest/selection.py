"""Chooses the rows of one partition and gives their columns the types of the spec."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from include.errors import DataRejectedError
from include.modeling.arrow_types import MEANINGS, Misfit, converted
from include.spec.sources import ColumnSpec, ColumnType, SourceSpec
from include.steps.ingest.rows import FoundRows

if TYPE_CHECKING:
    import pyarrow as pa

_ADVICE = "Correct it at its origin and run the step again."


@dataclass(frozen=True)
class Selected:
    """The rows of one partition, in the order in which they were written, and what was left."""

    rows: "pa.Table"
    """The columns of the spec, in its order and types."""
    rows_read: int
    rows_outside: int
    """Rows of other partitions."""
    rows_timeless: int
    """Rows without event time, which belong to no partition."""


@dataclass
class _Chosen:
    """What was chosen so far."""

    batches: "list[pa.RecordBatch]" = field(default_factory=list)
    masks: "list[pa.Array | None]" = field(default_factory=list)
    """For each batch read which of its rows were kept; None for all."""
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


def select(name: str, found: FoundRows, source: SourceSpec, bounds: tuple[datetime, datetime]) -> Selected:
    """
    The rows of one partition: those whose event time is within the bounds, or all of a register's.

    :param name: of the source, for messages.
    :param bounds: first moment of the partition, and first moment after it.
    :raises DataRejectedError: if there is no row, no row of the partition, a value that is not of its column's type, or
        more rows without event time than the spec allows.
    """
    import pyarrow as pa

    chosen = _Chosen()
    for batch in found.batches:
        _choose(chosen, batch, found, source, bounds)
    if not chosen.rows_read:
        message = f"{name} has a header and no rows. Write it anew at its origin and run the step again."
        raise DataRejectedError(message)
    _check_times(name, chosen, found, source)
    rows = pa.Table.from_batches(chosen.batches) if chosen.batches else None
    if rows is None or not rows.num_rows:
        message = (
            f"{name} has {chosen.rows_read} rows and none with {source.event_time} from {bounds[0]} to {bounds[1]}. "
        )
        raise DataRejectedError(message + "Add the partition's rows at the origin, or ask for a partition that it has.")
    columns = {
        column: _typed(name, rows.column(column), spec, chosen=chosen, found=found, column=column)
        for column, spec in source.columns.items()
    }
    outside = chosen.rows_read - rows.num_rows - chosen.rows_timeless
    return Selected(pa.table(columns), chosen.rows_read, rows_outside=outside, rows_timeless=chosen.rows_timeless)


def _choose(
    chosen: _Chosen, batch: "pa.RecordBatch", found: FoundRows, source: SourceSpec, bounds: tuple[datetime, datetime]
) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    before = chosen.rows_read
    chosen.lengths.append(batch.num_rows)
    if source.event_time is None:
        chosen.masks.append(None)
        chosen.batches.append(batch)
        return
    written = batch.column(source.event_time)
    times = converted(pa.chunked_array([written]), ColumnType.TIMESTAMP, from_text=found.from_text)
    if isinstance(times, Misfit):
        chosen.misfits += times.count
        chosen.first_misfit = before + times.first if chosen.first_misfit < 0 else chosen.first_misfit
        chosen.masks.append(pa.array([False] * batch.num_rows))
        return
    if times.null_count:
        chosen.rows_timeless += times.null_count
        if chosen.first_timeless < 0:
            chosen.first_timeless = before + pc.index(pc.is_null(times), value=True).as_py()
    start, end = (pa.scalar(moment, times.type) for moment in bounds)
    inside = pc.fill_null(pc.and_(pc.greater_equal(times, start), pc.less(times, end)), fill_value=False)
    mask = inside.combine_chunks()
    chosen.masks.append(mask)
    if kept := pc.sum(mask).as_py():
        chosen.batches.append(batch if kept == batch.num_rows else batch.filter(mask))


def _check_times(name: str, chosen: _Chosen, found: FoundRows, source: SourceSpec) -> None:
    column = source.event_time or ""
    if chosen.misfits:
        raise _rejection(name, column, ColumnType.TIMESTAMP, chosen.misfits, found.place(chosen.first_misfit))
    if not chosen.rows_timeless:
        return
    share = chosen.rows_timeless / chosen.rows_read
    ceiling = source.columns[column].nulls_at_most
    if share > ceiling:
        message = (
            f"{name}: {chosen.rows_timeless} of {chosen.rows_read} rows have no {column} and so belong to no partition "
        )
        message += (
            f"(first in {found.place(chosen.first_timeless)}); sources.*.columns.{column}.nulls_at_most is {ceiling}. "
        )
        raise DataRejectedError(message + _ADVICE)


def _typed(
    name: str, values: "pa.ChunkedArray", spec: ColumnSpec, *, chosen: _Chosen, found: FoundRows, column: str
) -> "pa.ChunkedArray":
    made = converted(values, spec.type, from_text=found.from_text)
    if isinstance(made, Misfit):
        raise _rejection(name, column, spec.type, made.count, found.place(chosen.position(made.first)))
    return made


def _rejection(name: str, column: str, kind: ColumnType, count: int, place: str) -> DataRejectedError:
    """Says where the values are, not what they are: they may be anybody's."""
    values = "1 value is" if count == 1 else f"{count} values are"
    message = (
        f"{name}: column '{column}' is {kind.value} ({MEANINGS[kind]}), but {values} not; first in {place}. {_ADVICE}"
    )
    return DataRejectedError(message)
