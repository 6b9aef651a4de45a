"""Sources of the features step: validated rows with their times, whole or as they were known at a moment."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from include.spec.sources import ALWAYS, SourceSpec, TimeSpec


@dataclass(frozen=True)
class SourceRows:
    """One source's validated rows of one partition."""

    name: str
    spec: SourceSpec
    rows: pd.DataFrame
    """One row per row of the source, in written order, index 0, 1, …; declared columns and times, moments in UTC."""

    @classmethod
    def of(cls, name: str, spec: SourceSpec, table: pa.Table) -> "SourceRows":
        """
        The rows of a validated table.

        :param table: at least the columns of the spec; others are dropped.
        """
        columns = table.select(list(spec.columns)).to_pandas()
        return cls(name, spec, with_times(columns, spec))

    def known_at(self, moment: pd.Timestamp) -> "SourceRows":
        """
        The source as it was at a moment: rows that existed by then, cells that were known by then, the rest null.

        Times are computed anew from what is left. Rows keep their index labels.
        """
        rows = self.rows
        if self.spec.known != ALWAYS:
            rows = rows[rows[self.spec.known] <= moment]
        hidden: dict[str, pd.Series] = {}
        for known, names in self._columns_by_known().items():
            ahead = ~(rows[known] <= moment)  # NaT compares as false: a value whose time is null is not known yet
            if ahead.any():
                hidden |= {name: rows[name].mask(ahead) for name in names}
        if not hidden and len(rows) == len(self.rows):
            return self
        # Without the times: they are computed from columns that may have been hidden just now.
        columns = rows[list(self.spec.columns)].assign(**hidden)
        return SourceRows(self.name, self.spec, with_times(columns, self.spec))

    def becoming_known(self) -> Iterable[pd.Series]:
        """For each time at which columns become known, that time of the rows with a value in such a column."""
        for known, names in self._columns_by_known().items():
            held = self.rows[names].notna().any(axis="columns")
            yield self.rows.loc[held, known].dropna()

    def _columns_by_known(self) -> dict[str, list[str]]:
        by_time: dict[str, list[str]] = {}
        for name, column in self.spec.columns.items():
            if column.known != ALWAYS:
                by_time.setdefault(column.known, []).append(name)
        return by_time


def with_times(columns: pd.DataFrame, spec: SourceSpec) -> pd.DataFrame:
    """
    Add the times that the spec declares.

    :param columns: the source's columns, one row per row.
    :return: the same rows with one more column a time, UTC, null where a column that it is computed from is null.
    """
    frame = columns
    for name, time in spec.times.items():
        frame = frame.assign(**{name: _moments(frame, time)})
    return frame


def _moments(frame: pd.DataFrame, time: TimeSpec) -> pd.Series:
    moments: pd.Series = frame[time.start]
    if time.add_minutes is not None:
        # Whole microseconds, as tables hold them: a tenth of a minute is not exact as a binary float.
        microseconds = (frame[time.add_minutes].astype("float64") * 60_000_000).round()
        added = pd.to_timedelta(microseconds, unit="us")
        if time.when_null is not None:
            added = added.fillna(pd.Timedelta(time.when_null))
        moments = moments + added
    if time.offset is not None:
        moments = moments + pd.Timedelta(time.offset)
    if time.floor is not None:
        moments = moments.dt.floor(pd.Timedelta(time.floor))
    # Adding a Timedelta turns moments into nanoseconds; tables and projects expect microseconds.
    return moments.astype(frame[time.start].dtype)


def arrow_column(values: pd.Series) -> pa.Array:
    """The column as tables hold it: NaN becomes null, moments are in UTC, in microseconds."""
    if not isinstance(values.dtype, pd.DatetimeTZDtype):
        return pa.Array.from_pandas(values)
    moments = values.dt.tz_convert(None).to_numpy().astype("datetime64[us]")
    return pa.array(moments, type=pa.timestamp("us")).view(pa.timestamp("us", tz="UTC"))
