"""Step ``ingest``: the rows of one partition, typed and counted, into the raw table of each source."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from include.contract.layout import Layer, table_name
from include.contract.receipt import Json, ObjectState
from include.contract.results import IngestResults
from include.errors import ConfigurationError, DataRejectedError, listed, near
from include.runtime.context import Parts, Plan, StepContext, Work
from include.spec.sources import SourceFormat, SourceSpec
from include.steps.ingest.fetch import fetch
from include.steps.ingest.location import Location
from include.steps.ingest.rows import RawRows
from include.steps.ingest.selection import Selected, select
from include.steps.ingest.source_file import SourceFile

if TYPE_CHECKING:
    from include.steps.ingest.read_sql import QueryResult

_OWN_COLUMNS = ("partition", "reason")
"""Columns that the platform adds to tables."""


@dataclass(frozen=True)
class _Content:
    """A source's content for one partition, downloaded or queried, with its digest."""

    state: ObjectState
    rows: Callable[[], RawRows]
    """Start reading; raises for a header that is not that of the spec."""
    done: Callable[[], None]
    """Make sure that the rows that were read are those of the digest."""
    close: Callable[[], None]


def plan(context: StepContext) -> Plan | Parts:
    """
    One part for each source, unless the call names one.

    :raises ConfigurationError: if each source has a task of its own and the call names none, the project has no such
        source, or its location is malformed.
    :raises DataRejectedError: if the source's file does not exist.
    :raises TemporaryError: if its server does not respond.
    """
    name = context.options.get("source")
    if name is not None:
        return _plan_of(context, name)
    names = context.spec.sources_of_task(None)
    if not names:
        message = f"Each source of project '{context.spec.name}' has a task of its own; name one with --source: "
        raise ConfigurationError(f"{message}{listed(context.spec.sources)}.")
    return Parts(options=tuple((("source", name),) for name in names))


def _plan_of(context: StepContext, name: str) -> Plan:
    """
    Download or query the source and compute its digest; the work is to read, type and write the partition's rows.

    :raises ConfigurationError: if the project has no such source, or its location is malformed.
    :raises DataRejectedError: if the source's file does not exist.
    :raises TemporaryError: if its server does not respond.
    """
    if name not in context.spec.sources:
        known = context.spec.sources
        message = f"Project '{context.spec.name}' has no source '{name}'; it has {listed(known)}.{near(name, known)}"
        raise ConfigurationError(message)
    source = context.spec.sources[name]
    taken = [column for column in source.columns if column.lower() in _OWN_COLUMNS]
    if taken:
        message = (
            f"sources.{name}.columns: '{taken[0]}' is a column that the platform adds itself. Give yours another name."
        )
        raise ConfigurationError(message)
    content = _content(context, source)
    context.events.emit("source fetched", location=content.state.name, size_bytes=content.state.size_bytes)
    return Plan(
        inputs=(content.state,),
        parameters=_parameters(context, source),
        work=partial(_work, context, name, content),
    )


def _content(context: StepContext, source: SourceSpec) -> _Content:
    if source.format is SourceFormat.SQL:
        from include.steps.ingest.read_sql import query_result

        url = context.stores.connection_url(source.location)
        bounds = context.partition.bounds(context.spec.timezone)
        result: QueryResult = query_result(source, url=url, bounds=bounds)
        return _Content(state=result.state, rows=result.raw_rows, done=_nothing, close=_nothing)
    file = fetch(Location.of(source, str(context.partition)))
    return _Content(state=file.state, rows=partial(_rows_of, file, source), done=file.check_unchanged, close=file.close)


def _nothing() -> None:
    return None


def _rows_of(file: SourceFile, source: SourceSpec) -> RawRows:
    if source.format is SourceFormat.CSV:
        from include.steps.ingest.read_csv import csv_rows

        return csv_rows(file, source)
    if source.format is SourceFormat.JSON_LINES:
        from include.steps.ingest.read_jsonl import json_rows

        return json_rows(file, source)
    from include.steps.ingest.read_parquet import parquet_rows

    return parquet_rows(file, source)


def _parameters(context: StepContext, source: SourceSpec) -> Json:
    """The keys of the spec that decide which rows are written, and in which types."""
    # Part of the receipt's identity: a key that is missing here can be changed without the source being read again.
    # The location is not among them: the content's digest stands for it, so that a file may move.
    return {
        "format": source.format.value,
        "member": source.member,
        "query": source.query,
        "null_values": list(source.null_values),
        "new_columns": source.new_columns,
        "event_time": source.event_time,
        "times_may_lack": source.columns[source.event_time].nulls_at_most if source.event_time else 0.0,
        "columns": {column: spec.type.value for column, spec in source.columns.items()},
        "timezone": context.spec.timezone,
        "grain": context.spec.grain.value,
    }


def _work(context: StepContext, name: str, content: _Content, identity: str) -> Work:
    source = context.spec.sources[name]
    try:
        raw = content.rows()
        selected = select(content.state.name, raw, source, context.partition.bounds(context.spec.timezone))
        content.done()
    except DataRejectedError as error:
        message = f"Source '{name}' of {context.partition}: {error}"
        raise DataRejectedError(message) from None
    finally:
        content.close()
    _log(context, raw, selected)
    stamp = {"step": context.command.step.value, "run": context.command.run, "identity": identity}
    table = table_name(context.spec.name, Layer.RAW, name)
    state = context.stores.tables.write(table, str(context.partition), selected.rows, stamp=stamp)
    counts = {
        "rows_read": selected.rows_read,
        "rows_kept": selected.rows.num_rows,
        "rows_outside": selected.rows_outside,
        "rows_timeless": selected.rows_timeless,
    }
    results = IngestResults(source_digest=content.state.digest, ignored_columns=raw.ignored)
    return Work(outputs=(state,), row_counts=counts, results=results)


def _log(context: StepContext, raw: RawRows, selected: Selected) -> None:
    if raw.ignored:
        context.events.warn("columns ignored that the spec does not name", columns=list(raw.ignored))
    if selected.rows_timeless:
        context.events.warn("rows without event time left out", rows=selected.rows_timeless)
    context.events.emit(
        "rows read",
        rows_read=selected.rows_read,
        rows_kept=selected.rows.num_rows,
        rows_outside=selected.rows_outside,
    )
