"""Reads CSV with commas, double quotes and a header, in UTF-8; every value as text, block by block."""

import csv
import io
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from include.errors import DataRejectedError
from include.spec.sources import SourceSpec
from include.steps.ingest.rows import RawRows, check_columns
from include.steps.ingest.source_file import SourceFile

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 4 * 1024 * 1024
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00": "UTF-16 or UTF-32"}
_ADVICE = "Write the file anew at its origin and run the step again."


def csv_rows(file: SourceFile, source: SourceSpec) -> RawRows:
    """
    The rows of a CSV file.

    :raises DataRejectedError: if the file is empty, is not UTF-8, or its header is not that of the spec; while the rows
        are read, if a line is truncated or has another number of fields than the header.
    """
    with file.opened() as stream:
        header = _header(file.name, stream)
    ignored = check_columns(file.name, header, source)
    return RawRows(
        batches=_batches(file, source),
        from_text=True,
        ignored=ignored,
        locate=lambda position: f"line {_line_of(file, position)}",
    )


def _header(name: str, stream: IO[bytes]) -> list[str]:
    begin = stream.read(1024 * 1024)
    if not begin.strip():
        message = f"{name} is empty ({len(begin)} bytes). {_ADVICE}"
        raise DataRejectedError(message)
    encoding = next(
        (name for mark, name in _OTHER_ENCODINGS.items() if begin.startswith(mark) or mark in begin[:4]), None
    )
    if encoding:
        message = f"{name} is written in {encoding}, not in UTF-8. {_ADVICE}"
        raise DataRejectedError(message)
    # Excel writes a byte order mark, which would become part of the first column's name. The block may end within a
    # character: that is replaced here, and a real fault of the encoding is reported when the rows are read.
    text = io.TextIOWrapper(io.BytesIO(begin), encoding="utf-8-sig", errors="replace", newline="")
    return next((row for row in csv.reader(text) if row), [])


def _batches(file: SourceFile, source: SourceSpec) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    names = list(source.columns)
    # All columns as text: Arrow infers types from the first block, and fails at a value that does not fit without its
    # line. The conversion to the types of the spec counts the misfits and locates the first.
    options = arrow_csv.ConvertOptions(
        include_columns=names,
        column_types=dict.fromkeys(names, pa.string()),
        null_values=list(source.null_values),
        strings_can_be_null=True,
    )
    with file.opened() as stream:
        try:
            yield from arrow_csv.open_csv(
                stream,
                read_options=arrow_csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
                # A quoted value may hold a line break; without this, blocks are cut in the middle of such a row.
                parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
                convert_options=options,
            )
        except pa.ArrowInvalid:
            # Arrow's message quotes the line, values included, and ``from None`` keeps it out of the log.
            message = f"{file.name}: {_fault(file)} {_ADVICE}"
            raise DataRejectedError(message) from None


def _numbered(file: SourceFile) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, the header first, each with the number of its last line; slow, for messages only."""
    with file.opened() as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        try:
            reader = csv.reader(text)
            for row in reader:
                if row:
                    yield reader.line_num, row
        finally:
            text.detach()  # a TextIOWrapper that is collected closes the stream under it, which its owner still uses


def _fault(file: SourceFile) -> str:
    """What is wrong with the file, and in which line; no value of it."""
    line = width = 0
    rows = _numbered(file)
    try:
        for number, row in rows:
            line, width = number, width or len(row)
            if len(row) != width:
                fault = f"line {line} has {len(row)} fields, the header has {width}."
                return fault if next(rows, None) else f"{fault} It is the last line: is the file truncated?"
    except UnicodeDecodeError:
        return f"a value after line {line} is not UTF-8."
    except csv.Error:
        return f"a quote that opens after line {line} does not close."
    return f"it cannot be read as CSV after line {line}."


def _line_of(file: SourceFile, position: int) -> int:
    return next((line for at, (line, _) in enumerate(_numbered(file), start=-1) if at == position), position + 2)
