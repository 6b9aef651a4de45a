from pathlib import Path

import pytest

from include.errors import DataRejectedError
from include.steps.ingest.read_csv import csv_rows
from include.steps.ingest.rows import RawRows
from include.steps.ingest.source_file import local_file
from tests.support.data_steps import HEADER, orders, source_of


def raw_rows(tmp_path: Path, content: str) -> RawRows:
    path = tmp_path / "orders.csv"
    path.write_bytes(content.encode())
    return csv_rows(local_file(path, name="orders.csv", member=None), source_of())


def rows(of: RawRows) -> list[dict[str, object]]:
    return [row for batch in of.batches for row in batch.to_pylist()]


def test_everything_is_text_or_null(tmp_path: Path) -> None:
    read = raw_rows(tmp_path, HEADER + "1,NA,2013-03-01T10:00:00Z,,true\n")
    assert read.from_text
    assert rows(read) == [
        {"order_id": "1", "customer": None, "placed_at": "2013-03-01T10:00:00Z", "amount": None, "paid": "true"}
    ]


def test_columns_come_in_the_order_of_the_spec(tmp_path: Path) -> None:
    read = raw_rows(tmp_path, "paid,amount,placed_at,customer,order_id\ntrue,1,x,ann,7\n")
    assert list(rows(read)[0]) == ["order_id", "customer", "placed_at", "amount", "paid"]


def test_quoted_values_hold_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    read = raw_rows(tmp_path, HEADER + '1,"a, ""b""\nc",x,1,true\n2,ann,x,1,true\n')
    assert [row["customer"] for row in rows(read)] == ['a, "b"\nc', "ann"]
    assert read.locate(0) == "line 3"
    assert read.locate(1) == "line 4"


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    read = raw_rows(tmp_path, "\n" + HEADER + "\n" + orders(2) + "\n")
    assert len(rows(read)) == 2
    assert read.locate(1) == "line 5"


def test_line_ends_of_windows_and_none_at_the_end(tmp_path: Path) -> None:
    assert len(rows(raw_rows(tmp_path, (HEADER + orders(3)).replace("\n", "\r\n").removesuffix("\r\n")))) == 3


def test_many_blocks(tmp_path: Path) -> None:
    read = raw_rows(tmp_path, HEADER + orders(200_000))
    assert sum(batch.num_rows for batch in read.batches) == 200_000
    assert read.locate(150_000) == "line 150002"


def test_another_separator(tmp_path: Path) -> None:
    with pytest.raises(DataRejectedError, match=r"are its 1 names separated by commas\?"):
        raw_rows(tmp_path, HEADER.replace(",", ";"))


def test_a_quote_that_never_closes(tmp_path: Path) -> None:
    with pytest.raises(DataRejectedError, match=r"orders\.csv: .* after line \d|orders\.csv: line \d") as raised:
        rows(raw_rows(tmp_path, HEADER + orders(2) + '3,"CANARY' + ",\n" * 200_000))
    assert "CANARY" not in str(raised.value)
