"""What every store of tables promises, whichever it is."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from include.errors import ConfigurationError, DataRejectedError
from include.stores.tables.protocol import TableStore

NAME = "flights/raw/weather"
ROWS = pa.table({"origin": ["EWR", None, "LGA"], "temp": [1.5, None, -0.0], "hour": [3, 1, 2]})
STAMP = {"step": "ingest", "run": "by-hand"}


def test_a_partition_is_read_as_it_was_written(tables: TableStore) -> None:
    tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    assert tables.read(NAME, "2013-01").equals(ROWS)


def test_every_type_comes_back(tables: TableStore) -> None:
    rows = pa.table(
        {
            "text": pa.array(["a", None, ""]),
            "whole": pa.array([1, None, -(2**63)]),
            "small": pa.array([1, None, -5], pa.int8()),
            "real": pa.array([1.0, None, float("nan")]),
            "single": pa.array([1.5, None, float("inf")], pa.float32()),
            "flag": pa.array([True, None, False]),
            "day": pa.array([date(2013, 1, 1), None, date(1969, 12, 31)]),
            "moment": pa.array([datetime(2013, 1, 1, 5, tzinfo=UTC), None, None], pa.timestamp("us", tz="UTC")),
            "raw": pa.array([b"\x00\xff", None, b""]),
        }
    )
    written = tables.write(NAME, "2013-01", rows, stamp=STAMP)
    read = tables.read(NAME, "2013-01")
    assert read.schema.equals(rows.schema)
    assert str(read.to_pydict()) == str(rows.to_pydict())
    assert tables.state(NAME, "2013-01") == written


def test_the_state_is_computed_from_the_rows_and_equals_what_write_returned(tables: TableStore) -> None:
    written = tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    assert tables.state(NAME, "2013-01") == written
    assert (written.name, written.partition, written.version, written.row_count) == (NAME, "2013-01", 0, 3)
    assert written.digest.startswith("sha256:")


def test_writing_replaces_one_partition_and_leaves_the_others(tables: TableStore) -> None:
    tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    tables.write(NAME, "2013-02", ROWS, stamp=STAMP)
    tables.write(NAME, "2013-01", ROWS[:1], stamp=STAMP)
    assert tables.read(NAME, "2013-01").equals(ROWS[:1])
    assert tables.read(NAME, "2013-02").equals(ROWS)
    assert tables.partitions(NAME) == ["2013-01", "2013-02"]


def test_equal_rows_have_an_equal_digest_in_every_version_and_partition(tables: TableStore) -> None:
    states = [
        tables.write(NAME, partition, ROWS, stamp=STAMP) for partition in ("2013-01", "2013-02", "2013-01", "2013-02")
    ]
    assert [state.version for state in states] == [0, 1, 2, 3]
    assert len({state.digest for state in states}) == 1


def test_an_older_version_stays_readable(tables: TableStore) -> None:
    first = tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    tables.write(NAME, "2013-01", ROWS[:1], stamp=STAMP)
    assert tables.read(NAME, "2013-01", version=first.version).equals(ROWS)
    assert tables.state(NAME, "2013-01", version=first.version) == first


def test_columns_are_read_in_the_requested_order(tables: TableStore) -> None:
    tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    assert tables.read(NAME, "2013-01", columns=["hour", "origin"]).equals(ROWS.select(["hour", "origin"]))


def test_a_column_that_the_table_does_not_have_is_refused(tables: TableStore) -> None:
    tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    with pytest.raises(DataRejectedError, match=r"no column orgin.*Did you mean 'origin'"):
        tables.read(NAME, "2013-01", columns=["orgin"])


def test_an_empty_partition_exists(tables: TableStore) -> None:
    written = tables.write(NAME, "2013-01", ROWS[:0], stamp=STAMP)
    assert written.row_count == 0
    assert tables.state(NAME, "2013-01") == written
    assert tables.read(NAME, "2013-01").schema.equals(ROWS.schema)
    assert tables.partitions(NAME) == ["2013-01"]


def test_a_partition_emptied_later_exists(tables: TableStore) -> None:
    tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    tables.write(NAME, "2013-01", ROWS[:0], stamp=STAMP)
    assert tables.read(NAME, "2013-01").num_rows == 0


def test_a_table_that_does_not_exist_has_nothing(tables: TableStore) -> None:
    assert tables.version(NAME) is None
    assert tables.partitions(NAME) == []
    assert tables.state(NAME, "2013-01") is None
    with pytest.raises(DataRejectedError, match="Partition '2013-01' of table 'flights/raw/weather' was never written"):
        tables.read(NAME, "2013-01")


def test_a_partition_that_was_never_written_is_reported(tables: TableStore) -> None:
    tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    tables.write(NAME, "2013-02", ROWS, stamp=STAMP)
    assert tables.state(NAME, "2013-03") is None
    with pytest.raises(DataRejectedError, match=r"'2013-03' of table .* never written\. Run the step"):
        tables.read(NAME, "2013-03")
    with pytest.raises(DataRejectedError, match=r"'2013-02' of table .* never written in version 0"):
        tables.read(NAME, "2013-02", version=0)
    assert tables.state(NAME, "2013-02", version=0) is None


@pytest.mark.parametrize("version", [-1, 7])
def test_a_version_that_does_not_exist_is_reported(tables: TableStore, version: int) -> None:
    tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    with pytest.raises(DataRejectedError, match=f"no version {version}; its newest is 0"):
        tables.read(NAME, "2013-01", version=version)


@pytest.mark.parametrize(
    ("rows", "reported"),
    [
        (ROWS.drop_columns(["hour"]), "missing: hour"),
        (ROWS.append_column("wind", pa.array([1.0, 2.0, 3.0])), "new: wind"),
        (ROWS.set_column(2, "hour", pa.array(["3", "1", "2"])), r"of another type: hour \(int64, now string\)"),
        (ROWS.rename_columns(["origin", "temperature", "hour"]), "missing: temp; new: temperature"),
    ],
)
def test_other_columns_than_the_table_has_are_refused(tables: TableStore, rows: pa.Table, reported: str) -> None:
    tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    with pytest.raises(DataRejectedError, match=reported):
        tables.write(NAME, "2013-02", rows, stamp=STAMP)
    assert tables.partitions(NAME) == ["2013-01"]
    assert tables.version(NAME) == 0


@pytest.mark.parametrize("name", ["../raw", "/flights", "flights//raw", "Flights/raw", "flights/raw.x", ""])
def test_a_name_that_could_lead_out_of_the_store_is_refused(tables: TableStore, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is no name of a table"):
        tables.write(name, "2013-01", ROWS, stamp=STAMP)


@pytest.mark.parametrize("partition", ["../x", "a/b", "", "2013 01", "2013-01' or '1'='1"])
def test_a_partition_that_is_none_is_refused(tables: TableStore, partition: str) -> None:
    with pytest.raises(ConfigurationError, match="is no partition"):
        tables.write(NAME, partition, ROWS, stamp=STAMP)


def test_tables_do_not_know_each_other(tables: TableStore) -> None:
    tables.write(NAME, "2013-01", ROWS, stamp=STAMP)
    tables.write("flights/raw/planes", "2013-01", pa.table({"tailnum": ["N1"]}), stamp=STAMP)
    assert tables.version("flights/raw/planes") == 0
    assert tables.read(NAME, "2013-01").equals(ROWS)
