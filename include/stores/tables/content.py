"""
What a partition's content is: the few column types that tables hold, and a digest of names, types, values and nulls.

The digest is over the logical content in the order in which it was written. How rows are chunked, encoded (plain,
dictionary, view, large) or compressed does not matter, nor does what lies under a null. ``-0.0`` equals ``0.0``, every
NaN equals every other NaN, and a NaN is no null. Timestamps are moments: microseconds since 1970 in UTC, whatever zone
they were written in.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from include.errors import DataRejectedError, foreign, listed

if TYPE_CHECKING:
    import pyarrow as pa

PARTITION_COLUMN = "partition"
# Part of each digest: a change of the format below makes every partition a new one.
_FORMAT = b"table content 1\n"


def plain(name: str, rows: "pa.Table") -> "pa.Table":
    """
    The rows in the types that tables hold: string, integers, floats, bool, date32, binary, timestamp in UTC, µs.

    :param name: the table, for messages.
    :raises DataRejectedError: if a column has another type, or its name is taken.
    """
    import pyarrow as pa

    _check_names(name, rows.column_names)
    fields, columns, refused = [], [], []
    for field, column in zip(rows.schema, rows.columns, strict=True):
        wanted = _plain_type(field.type)
        if wanted is None:
            refused.append(f"{field.name} ({field.type})")
            continue
        fields.append(pa.field(field.name, wanted))
        columns.append(column if field.type == wanted else _cast(name, field.name, column, wanted))
    if refused:
        message = f"Table '{name}' cannot hold columns {listed(refused)}. "
        message += "Make them string, int64, float64, bool or a timestamp with a zone, and run the step again."
        raise DataRejectedError(message)
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def content_digest(rows: "pa.Table") -> str:
    """
    ``sha256:…`` of the content.

    :param rows: as :func:`plain` returns them.
    """
    whole = hashlib.sha256(_FORMAT)
    for field, column in zip(rows.schema, rows.columns, strict=True):
        # Lengths stand before names, so that no two lists of columns give the same bytes.
        word = field.name.encode()
        whole.update(f"{len(word)} ".encode() + word + f" {field.type} ".encode())
        whole.update(_column_digest(column))
    whole.update(f"{rows.num_rows} rows".encode())
    return f"sha256:{whole.hexdigest()}"


def _check_names(name: str, columns: list[str]) -> None:
    # Engines on Delta Lake (Spark, SQL) fold the case of column names.
    lowered = [column.lower() for column in columns]
    twice = {column for column in columns if lowered.count(column.lower()) > 1}
    if twice:
        message = (
            f"Table '{name}' cannot hold two columns of one name: {listed(twice)}. Upper and lower case are the same."
        )
        raise DataRejectedError(message)
    if PARTITION_COLUMN in lowered:
        message = f"Table '{name}' adds the column '{PARTITION_COLUMN}' itself. Give yours another name."
        raise DataRejectedError(message)
    if not columns:
        message = f"Table '{name}' cannot hold rows without columns. Give at least the key."
        raise DataRejectedError(message)


def _plain_type(given: "pa.DataType") -> "pa.DataType | None":
    import pyarrow as pa

    # Parquet readers give repeated strings as dictionaries, or not, depending on the writer.
    if pa.types.is_dictionary(given):
        return _plain_type(given.value_type)
    if pa.types.is_string(given) or pa.types.is_large_string(given) or pa.types.is_string_view(given):
        return pa.string()
    if pa.types.is_binary(given) or pa.types.is_large_binary(given) or pa.types.is_binary_view(given):
        return pa.binary()
    if pa.types.is_timestamp(given):
        # Delta Lake keeps microseconds; a time without a zone is no moment, and would shift with the reader's zone.
        return pa.timestamp("us", tz="UTC") if given.tz is not None else None
    # Delta Lake has no unsigned integers.
    kept = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.bool_(), pa.date32())
    return given if given in kept else None


def _cast(name: str, column: str, values: "pa.ChunkedArray", wanted: "pa.DataType") -> "pa.ChunkedArray":
    import pyarrow as pa

    try:
        return values.cast(wanted)
    except pa.ArrowInvalid as error:
        message = f"Column '{column}' of table '{name}' does not fit {wanted} without loss: {foreign(error)}"
        raise DataRejectedError(message) from error


def _column_digest(column: "pa.ChunkedArray") -> bytes:
    import numpy as np

    values = hashlib.sha256()
    lengths = hashlib.sha256()
    validity: list[np.ndarray[Any, Any]] = []
    hasher = _hasher(column.type)
    for chunk in column.chunks:
        if column.null_count:
            # Arrow leaves arbitrary bytes under a null: they are filled, and which values are null is hashed apart.
            validity.append(chunk.is_valid().cast("int8").to_numpy(zero_copy_only=False))
        for buffer, length in hasher(chunk):
            values.update(buffer)
            if length is not None:
                lengths.update(length)
    present = np.packbits(np.concatenate(validity)).tobytes() if validity else b""
    return hashlib.sha256(values.digest() + lengths.digest() + hashlib.sha256(present).digest()).digest()


Pieces = Iterable[tuple[Any, Any]]
"""Buffers of values and, for texts, of lengths."""


def _hasher(kind: "pa.DataType") -> Callable[["pa.Array"], Pieces]:
    import pyarrow as pa

    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _text_pieces
    if pa.types.is_boolean(kind):
        return _bool_pieces
    return _float_pieces if pa.types.is_floating(kind) else _number_pieces


def _text_pieces(chunk: "pa.Array") -> Pieces:
    import numpy as np

    filled = chunk.fill_null("" if str(chunk.type) == "string" else b"") if chunk.null_count else chunk
    if not len(filled):
        return
    _, offset_buffer, data = filled.buffers()
    # A slice shares its parent's buffers: offsets begin at filled.offset, and the text at offsets[0].
    offsets = np.frombuffer(offset_buffer, dtype="<i4")[filled.offset : filled.offset + len(filled) + 1]
    begin, end = int(offsets[0]), int(offsets[-1])
    yield (memoryview(data)[begin:end] if data is not None else b""), np.diff(offsets)


def _bool_pieces(chunk: "pa.Array") -> Pieces:
    import pyarrow as pa

    filled = chunk.fill_null(False) if chunk.null_count else chunk  # noqa: FBT003 (the value that is filled in)
    # Arrow packs booleans as bits that begin anywhere in a byte.
    yield filled.cast(pa.int8()).to_numpy(zero_copy_only=False), None


def _float_pieces(chunk: "pa.Array") -> Pieces:
    import numpy as np

    filled = chunk.fill_null(0.0) if chunk.null_count else chunk
    numbers = filled.to_numpy(zero_copy_only=False) + 0.0  # a new array, in which -0.0 has become 0.0
    unknown = np.isnan(numbers)
    # NaN has many bit patterns: they are made one.
    if unknown.any():
        numbers[unknown] = np.nan
    yield numbers, None


def _number_pieces(chunk: "pa.Array") -> Pieces:
    import pyarrow as pa

    width = chunk.type.bit_width
    whole = chunk.view(pa.int64() if width == 64 else pa.int32()) if not pa.types.is_integer(chunk.type) else chunk  # noqa: PLR2004 (bits)
    filled = whole.fill_null(0) if whole.null_count else whole
    yield filled.to_numpy(zero_copy_only=False), None
