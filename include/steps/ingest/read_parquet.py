"""Reads the columns of the spec from Parquet, batch by batch."""

from typing import TYPE_CHECKING

from include.errors import DataRejectedError, foreign
from include.spec.sources import SourceSpec
from include.steps.ingest.rows import RawRows, check_columns
from include.steps.ingest.source_file import SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from pyarrow import parquet

_ROWS_AT_ONCE = 131_072


def parquet_rows(file: SourceFile, source: SourceSpec) -> RawRows:
    """
    The rows of a Parquet file.

    :raises DataRejectedError: if the file is empty, truncated or damaged, or its columns are not those of the spec.
    """
    import pyarrow as pa
    from pyarrow import parquet

    if not file.size_bytes:
        message = f"{file.name} is empty (0 bytes). Write it anew at its origin and run the step again."
        raise DataRejectedError(message)
    file.file.seek(0)
    try:
        opened = parquet.ParquetFile(file.file)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(file, error) from error
    ignored = check_columns(file.name, opened.schema_arrow.names, source)
    return RawRows(batches=_batches(file, opened, list(source.columns)), from_text=False, ignored=ignored)


def _batches(file: SourceFile, opened: "parquet.ParquetFile", names: list[str]) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    try:
        for batch in opened.iter_batches(batch_size=_ROWS_AT_ONCE, columns=names, use_threads=False):
            yield batch.select(names)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(file, error) from error


def _damaged(file: SourceFile, error: Exception) -> DataRejectedError:
    message = (
        f"{file.name} is not a complete Parquet file ({foreign(error)}), {file.size_bytes} bytes; is it truncated? "
    )
    return DataRejectedError(message + "Write it anew at its origin and run the step again.")
