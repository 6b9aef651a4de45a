"""Reads JSON lines: one object a line, in UTF-8."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from include.errors import DataRejectedError
from include.modeling.arrow_types import MEANINGS
from include.spec.sources import ColumnType, SourceSpec
from include.steps.ingest.rows import RawRows, check_columns
from include.steps.ingest.source_file import SourceFile

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 4 * 1024 * 1024
_ADVICE = "Write the file anew at its origin and run the step again."


def json_rows(file: SourceFile, source: SourceSpec) -> RawRows:
    """
    The rows of a file of JSON lines; a column counts as missing if no line has its key.

    :raises DataRejectedError: if the file is empty; while the rows are read, if a line is no JSON object, a value is
        not of its type, or the columns are not those of the spec.
    """
    with file.opened() as stream:
        if not stream.read(_BLOCK_BYTES).strip():
            message = f"{file.name} is empty ({file.size_bytes} bytes). {_ADVICE}"
            raise DataRejectedError(message)
    return RawRows(
        batches=_batches(file, source),
        from_text=False,
        locate=lambda position: f"line {_line_of(file, position)}",
    )


def _batches(file: SourceFile, source: SourceSpec) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa
    from pyarrow import json as arrow_json

    # The schema is given: inferred types would depend on which rows fall into the first block.
    absent = set(source.columns)
    options = arrow_json.ParseOptions(
        explicit_schema=pa.schema([(name, _written_type(column.type)) for name, column in source.columns.items()]),
        unexpected_field_behavior="error" if source.new_columns == "refuse" else "ignore",
    )
    with file.opened() as stream:
        try:
            read = arrow_json.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
            for batch in arrow_json.open_json(stream, read_options=read, parse_options=options):
                absent = {name for name in absent if batch.column(name).null_count == batch.num_rows}
                yield batch
        except pa.ArrowInvalid:
            # Arrow's message quotes values, and ``from None`` keeps it out of the log.
            message = f"{file.name}: {_fault(file, source)} {_ADVICE}"
            raise DataRejectedError(message) from None
    if absent:
        # Arrow gives a column of the schema as nulls whether its key is absent or its values are null; the lines tell.
        check_columns(file.name, list(_keys(file)), source)


def _written_type(kind: ColumnType) -> "pa.DataType":
    import pyarrow as pa

    # JSON has no type for moments: they are read as text, and converted with those of the other formats.
    numbers = {ColumnType.INT64: pa.int64(), ColumnType.FLOAT64: pa.float64(), ColumnType.BOOL: pa.bool_()}
    return numbers.get(kind, pa.string())


def _objects(file: SourceFile) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers."""
    with file.opened() as stream:
        number = 0
        rest = b""
        while piece := stream.read(_BLOCK_BYTES):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                number += 1
                if line.strip():
                    yield number, line
        if rest.strip():
            yield number + 1, rest


def _keys(file: SourceFile) -> dict[str, None]:
    """Keys of all lines, in order of appearance."""
    return dict.fromkeys(key for _, line in _objects(file) for key in json.loads(line))


def _fault(file: SourceFile, source: SourceSpec) -> str:
    """What is wrong with the file, and in which line; no value of it."""
    lines = _objects(file)
    bad: dict[str, list[int]] = {}
    for number, line in lines:
        row = _object_of(line)
        if row is None:
            fault = f"line {number} is no JSON object."
            return fault if next(lines, None) else f"{fault} It is the last line: is the file truncated?"
        if source.new_columns == "refuse":
            check_columns(f"{file.name} (line {number})", [*source.columns, *(set(row) - set(source.columns))], source)
        for name, value in row.items():
            if name in source.columns and not _fits(value, source.columns[name].type):
                bad.setdefault(name, []).append(number)
    for name, numbers in bad.items():
        kind = source.columns[name].type
        fault = f"column '{name}' is {kind.value} ({MEANINGS[kind]}), but {len(numbers)} values are not; "
        return f"{fault}the first is in line {numbers[0]}."
    # What Arrow refuses and Python's parser accepts: json.loads keeps the last of two equal keys, and has no blocks.
    return "a line cannot be read as JSON: it has a duplicate key, or is longer than 4 MiB."


def _object_of(line: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _fits(value: object, kind: ColumnType) -> bool:
    if value is None:
        return True
    if kind is ColumnType.BOOL:
        return isinstance(value, bool)
    if kind in (ColumnType.INT64, ColumnType.FLOAT64):
        whole = isinstance(value, int) and not isinstance(value, bool)  # bool is a subclass of int
        return whole or (kind is ColumnType.FLOAT64 and isinstance(value, float))
    return isinstance(value, str)


def _line_of(file: SourceFile, position: int) -> int:
    for at, (number, _) in enumerate(_objects(file)):
        if at == position:
            return number
    return position + 1
