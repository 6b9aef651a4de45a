from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from include.errors import DataRejectedError
from include.stores.tables.content import content_digest, plain

TEXTS = ["EWR", None, "", "LGA", "JFK", "EWR"]


def _digest(column: object, kind: pa.DataType | None = None) -> str:
    return content_digest(plain("t", pa.table({"x": pa.array(column, kind) if isinstance(column, list) else column})))


def test_the_digest_is_the_same_in_every_process_and_release() -> None:
    rows = pa.table({"origin": ["EWR", None], "temp": [1.5, None], "day": pa.array([1, 2], pa.int64())})
    assert content_digest(plain("t", rows)) == "sha256:41539db670042529e1872a19d6ee3e4aa01cb6aff52f36f89a448774b9f04564"


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_how_texts_are_encoded_does_not_matter(kind: pa.DataType) -> None:
    assert _digest(pa.array(TEXTS).cast(kind)) == _digest(TEXTS, pa.string())


def test_how_bytes_are_encoded_does_not_matter() -> None:
    assert _digest([b"a", None], pa.large_binary()) == _digest([b"a", None], pa.binary())


@pytest.mark.parametrize("values", [TEXTS, [1, None, 3, 4, 5, 6], [0.5, None, 2.0, 3.0, 4.0, 5.0], [True, None] * 3])
def test_how_rows_are_chunked_does_not_matter(values: list[object]) -> None:
    whole = pa.array(values)
    pieces = pa.chunked_array([whole[:1], whole[1:1], whole[1:4], whole[4:]])
    assert _digest(pieces) == _digest(whole)


@pytest.mark.parametrize("values", [TEXTS, [1, None, 3, 4, 5, 6], [0.5, None, 2.0, 3.0, 4.0, 5.0], [True, None] * 3])
def test_a_slice_is_only_what_it_shows(values: list[object]) -> None:
    assert _digest(pa.array(values)[2:5]) == _digest(pa.array(values[2:5], pa.array(values).type))


def test_what_lies_under_a_null_does_not_matter() -> None:
    hidden = [np.array([1, 2, 3]), np.array([1, 99, 3])]
    first, second = (pa.array(values, mask=np.array([False, True, False])) for values in hidden)
    assert _digest(first) == _digest(second)
    texts = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\x01"), *pa.array(["a", "hidden"]).buffers()[1:]])
    assert _digest(texts) == _digest(["a", None])


def test_minus_zero_is_zero_and_every_nan_is_one_but_no_null() -> None:
    other_nan = np.array([0x7FF8000000000001], dtype="uint64").view("float64")
    assert _digest([-0.0, 1.0]) == _digest([0.0, 1.0])
    assert _digest(pa.array(other_nan)) == _digest(pa.array([float("nan")]))
    assert _digest(pa.array([float("nan")])) != _digest(pa.array([None], pa.float64()))
    assert _digest(pa.array([0.0])) != _digest(pa.array([None], pa.float64()))


def test_the_digest_does_not_change_what_it_reads() -> None:
    rows = pa.table({"x": np.array([-0.0, np.nan])})
    content_digest(rows)
    assert np.signbit(rows["x"].to_numpy()[0])


def test_moments_are_moments_whatever_their_zone_and_unit() -> None:
    noon = datetime(2013, 1, 1, 12, tzinfo=UTC)
    local = noon.astimezone(timezone(timedelta(hours=-5)))
    expected = _digest([noon, None], pa.timestamp("us", tz="UTC"))
    for kind in (
        pa.timestamp("ns", tz="America/New_York"),
        pa.timestamp("s", tz="UTC"),
        pa.timestamp("ms", tz="+05:00"),
    ):
        assert _digest([local, None], kind) == expected


@pytest.mark.parametrize(
    "other",
    [
        {"x": [1, 2, 4]},
        {"x": [2, 1, 3]},
        {"x": [1, 2]},
        {"x": [1, 2, None]},
        {"y": [1, 2, 3]},
        {"x": [1.0, 2.0, 3.0]},
        {"x": ["1", "2", "3"]},
        {"x": [1, 2, 3], "y": [1, 2, 3]},
    ],
)
def test_another_value_order_name_type_or_column_is_another_content(other: dict[str, list[object]]) -> None:
    rows = pa.table({"x": [1, 2, 3]})
    assert content_digest(plain("t", rows)) != content_digest(plain("t", pa.table(other)))


def test_where_one_text_ends_and_the_next_begins_matters() -> None:
    assert _digest(["ab", "c"]) != _digest(["a", "bc"])
    assert _digest(["", "a"]) != _digest(["a", ""])


def test_the_order_of_columns_matters() -> None:
    rows = pa.table({"x": [1], "y": [1]})
    assert content_digest(rows) != content_digest(rows.select(["y", "x"]))


def test_no_rows_still_have_columns() -> None:
    assert _digest([], pa.string()) != _digest([], pa.int64())
    assert _digest([], pa.string()) == _digest(pa.chunked_array([], pa.string()))


def test_a_frame_of_pandas_and_back_is_the_same_content() -> None:
    rows = pa.table({"origin": TEXTS, "temp": [0.5, None, 2.0, 3.0, -0.0, 5.0], "hour": [1, 2, 3, 4, 5, 6]})
    frame = rows.to_pandas()
    assert isinstance(frame["origin"].dtype, pd.StringDtype)
    back = pa.Table.from_pandas(frame, preserve_index=False)
    assert content_digest(plain("t", back)) == content_digest(plain("t", rows))


def test_metadata_is_no_content() -> None:
    rows = pa.table({"x": [1]}).replace_schema_metadata({"pandas": "{}"})
    assert plain("t", rows).schema.metadata is None


@pytest.mark.parametrize(
    ("column", "reported"),
    [
        (pa.array([None, None]), r"x \(null\)"),
        (pa.array([datetime(2013, 1, 1)]), r"x \(timestamp\[us\]\).*timestamp with a zone"),  # noqa: DTZ001 (that is refused)
        (pa.array([[1], [2]]), r"x \(list"),
        (pa.array([1, 2], pa.uint64()), r"x \(uint64\)"),
    ],
)
def test_a_type_that_no_table_holds_is_refused(column: pa.Array, reported: str) -> None:
    with pytest.raises(DataRejectedError, match=rf"'flights/raw/weather' cannot hold columns {reported}"):
        plain("flights/raw/weather", pa.table({"x": column}))


def test_a_moment_finer_than_a_microsecond_is_refused() -> None:
    rows = pa.table({"at": pa.array([1], pa.timestamp("ns", tz="UTC"))})
    with pytest.raises(DataRejectedError, match=r"Column 'at' of table 't' does not fit .* without loss"):
        plain("t", rows)


@pytest.mark.parametrize(
    ("names", "reported"),
    [
        (["x", "x"], r"two columns of one name: x\."),
        (["Temp", "temp"], r"two columns of one name: Temp, temp.*case"),
        (["partition", "x"], r"adds the column 'partition' itself"),
        ([], r"rows without columns"),
    ],
)
def test_a_name_that_no_table_takes_is_refused(names: list[str], reported: str) -> None:
    rows = pa.Table.from_arrays([pa.array([1])] * len(names), names=names)
    with pytest.raises(DataRejectedError, match=reported):
        plain("t", rows)
