"""Reads the rows of a query through SQLAlchemy, in a transaction that only reads."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from include.contract.receipt import ObjectState
from include.errors import ConfigurationError, DataRejectedError, PlatformError, TemporaryError, foreign
from include.spec.sources import ColumnType, SourceSpec
from include.steps.ingest.rows import RawRows, check_columns
from include.stores.tables.content import content_digest

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Connection, Engine, TextClause

# A first check with a clear message; what keeps a query from writing is the database itself (see _only_read).
_READS = re.compile(r"^\s*(--[^\n]*\n\s*)*(select|with|values)\b", re.IGNORECASE)
# SQLite and some drivers report errors of the query as OperationalError, the class of lost connections: only the
# text tells the permanent error from the temporary one.
_NO_SUCH = re.compile(r"no such (table|column)|syntax error|does not exist", re.IGNORECASE)
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class QueryResult:
    """The whole result of a query: a partition's rows fit into memory."""

    rows: "pa.Table"
    state: ObjectState
    """Digest of the rows: a database has no file to digest."""

    def raw_rows(self) -> RawRows:
        """The rows, to be selected and typed."""
        return RawRows(batches=iter(self.rows.to_batches()), from_text=False)


def query_result(source: SourceSpec, *, url: str, bounds: tuple[datetime, datetime]) -> QueryResult:
    """
    Run the source's query.

    :param url: of the database; holds a password, so it must not appear in a message.
    :param bounds: first moment of the partition, and first moment after it; ``:start`` and ``:end`` in the query.
    :raises ConfigurationError: if the URL is malformed, or the database refuses the query or it does more than read.
    :raises DataRejectedError: if the columns are not those of the spec, or hold mixed types.
    :raises TemporaryError: if the database does not respond, or fails.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    name = f"sql://{source.location}"
    query = source.query or ""
    if not _READS.match(query):
        message = f"{name}: the query begins with '{query.split(maxsplit=1)[0] if query.split() else ''}'; "
        raise ConfigurationError(message + "a source only reads, so write a SELECT or WITH.")
    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        message = f"{name}: ML_CONNECTION_{source.location.upper()} is no SQLAlchemy URL with an installed driver "
        # The text of these errors, and so their traceback, may quote the URL with its password.
        raise ConfigurationError(message + f"({type(error).__name__}). Correct it.") from None
    try:
        table = _rows(name, engine, source, bounds)
    finally:
        engine.dispose()
    digest = content_digest(table)
    return QueryResult(rows=table, state=ObjectState(name=name, digest=digest, size_bytes=table.nbytes))


def _rows(name: str, engine: "Engine", source: SourceSpec, bounds: tuple[datetime, datetime]) -> "pa.Table":
    import pyarrow as pa
    from sqlalchemy.exc import SQLAlchemyError

    doing = "connecting"
    try:
        with engine.connect() as connection:
            doing = "running the query"
            _only_read(connection)
            result = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(
                _statement(source.query or "", bounds)
            )
            check_columns(name, list(result.keys()), source)
            parts = list(_tables(name, result.keys(), result.partitions(_ROWS_AT_ONCE), source))
            connection.rollback()  # nothing to commit: the next source starts from a clean connection
    except SQLAlchemyError as error:
        raise _failure(name, doing, error) from None
    return pa.concat_tables(parts).combine_chunks() if parts else _empty(source)


def _only_read(connection: "Connection") -> None:
    # A WITH may hold an INSERT, and a SELECT may call a function that writes: only the database can refuse those.
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        # PostgreSQL shows timestamptz in the session's zone: the same rows must have the same digest on any machine.
        connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")


def _statement(query: str, bounds: tuple[datetime, datetime]) -> "TextClause":
    from sqlalchemy import DateTime, bindparam, text

    statement = text(query)
    start, end = (moment.astimezone(UTC) for moment in bounds)
    used = statement.compile().params
    unknown = used.keys() - {"start", "end"}
    if unknown:
        message = (
            f"The query uses ':{min(unknown)}'; only :start and :end are bound. Write '\\:' for a colon in a text."
        )
        raise ConfigurationError(message)
    moments = {"start": start, "end": end}
    return statement.bindparams(*(bindparam(word, moments[word], DateTime(timezone=True)) for word in used))


def _tables(
    name: str, keys: Sequence[str] | Any, parts: Iterator[Sequence[Any]], source: SourceSpec
) -> "Iterator[pa.Table]":
    import pyarrow as pa

    order = {key: number for number, key in enumerate(keys)}
    before = 0
    for part in parts:
        columns = {}
        for column, spec in source.columns.items():
            values = [_plain(row[order[column]], spec.type) for row in part]
            columns[column] = _array(name, column, values, spec.type, before)
        before += len(part)
        yield pa.table(columns)


def _array(name: str, column: str, values: list[Any], kind: ColumnType, before: int) -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(values, type=_sql_types()[kind])
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        bad = [number for number, value in enumerate(values) if not _fits(value, kind)]
        message = f"{name}: column '{column}' is {kind.value}, but "
        message += f"of rows {before + 1} to {before + len(values)} of the result "
        message += f"{len(bad)} are not, first row {before + bad[0] + 1}" if bad else "some are not"
        raise DataRejectedError(f"{message}. Cast it in the query, or correct its type in the spec.") from None


def _sql_types() -> Mapping[ColumnType, "pa.DataType"]:
    import pyarrow as pa

    return {
        ColumnType.STRING: pa.string(),
        ColumnType.INT64: pa.int64(),
        ColumnType.FLOAT64: pa.float64(),
        ColumnType.BOOL: pa.bool_(),
        ColumnType.TIMESTAMP: pa.string(),
    }


def _plain(value: Any, kind: ColumnType) -> Any:
    """A driver's value in a type that Arrow accepts."""
    # For the same column drivers give different types: SQLite has no booleans and no moments (0 and 1, text),
    # PostgreSQL gives Decimal for numeric, and datetime for timestamps.
    if value is None or isinstance(value, str):
        return value
    if kind is ColumnType.TIMESTAMP:
        return value.isoformat() if isinstance(value, date) else value
    if kind is ColumnType.BOOL:
        return bool(value) if value in (0, 1) else value
    if kind is ColumnType.FLOAT64 and not isinstance(value, bool):
        return float(value)
    if kind is ColumnType.INT64 and not isinstance(value, int | bool) and value == int(value):
        return int(value)
    return value


def _fits(value: Any, kind: ColumnType) -> bool:
    if value is None:
        return True
    if kind in (ColumnType.STRING, ColumnType.TIMESTAMP):
        return isinstance(value, str)
    if kind is ColumnType.BOOL:
        return isinstance(value, bool)
    return isinstance(value, int if kind is ColumnType.INT64 else int | float) and not isinstance(value, bool)


def _empty(source: SourceSpec) -> "pa.Table":
    import pyarrow as pa

    return pa.schema([(name, _sql_types()[column.type]) for name, column in source.columns.items()]).empty_table()


def _failure(name: str, doing: str, error: Exception) -> PlatformError:
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

    # Only the driver's text: SQLAlchemy adds the statement with its parameters.
    reason = foreign(getattr(error, "orig", None) or type(error).__name__)
    if doing == "connecting" or getattr(error, "connection_invalidated", False):
        message = (
            f"{name}: the database does not respond: {reason}. Check the server and the connection's URL, and run the "
            "step again."
        )
        return TemporaryError(message)
    if isinstance(error, OperationalError | InterfaceError) and not _NO_SUCH.search(reason):
        return TemporaryError(f"{name}: the database failed {doing}: {reason}. Run the step again.")
    if isinstance(error, DBAPIError):
        return ConfigurationError(f"{name}: the database refused the query: {reason}. Correct 'query' in the spec.")
    return ConfigurationError(f"{name}: the query cannot be run ({reason}). Correct 'query' in the spec.")
