import json
from pathlib import Path

import pytest

from include.errors import DataRejectedError
from include.steps.ingest.read_jsonl import json_rows
from include.steps.ingest.rows import RawRows
from include.steps.ingest.source_file import local_file
from tests.support.data_steps import Shop, rejection, source_of

ORDER = {"order_id": 1, "customer": "ann", "placed_at": "2013-03-05T12:00:00Z", "amount": 2, "paid": True}


def line(**values: object) -> str:
    return json.dumps(ORDER | values) + "\n"


def raw_rows(tmp_path: Path, content: str, **overrides: object) -> RawRows:
    path = tmp_path / "orders.jsonl"
    path.write_text(content)
    return json_rows(local_file(path, name="orders.jsonl", member=None), source_of({"format": "jsonl"} | overrides))


def rows(of: RawRows) -> list[dict[str, object]]:
    return [row for batch in of.batches for row in batch.to_pylist()]


def test_a_source_is_ingested(tmp_path: Path) -> None:
    shop = Shop(tmp_path, overrides={"format": "jsonl", "location": (tmp_path / "orders.jsonl").as_uri()})
    shop.file(
        "orders.jsonl",
        line() + "\n" + line(order_id=2, amount=None) + line(order_id=3, placed_at="2013-05-01T12:00:00Z"),
    )
    shop.ingest()
    assert [(row["order_id"], row["amount"]) for row in shop.rows("raw/orders")] == [(1, 2.0), (2, None)]


def test_a_key_that_some_lines_lack_is_null_there(tmp_path: Path) -> None:
    short = {name: value for name, value in ORDER.items() if name != "amount"}
    assert [row["amount"] for row in rows(raw_rows(tmp_path, line() + json.dumps(short)))] == [2.0, None]


def test_many_blocks(tmp_path: Path) -> None:
    read = raw_rows(tmp_path, line() * 100_000)
    assert sum(batch.num_rows for batch in read.batches) == 100_000
    assert read.locate(99_999) == "line 100000"


def test_new_columns_may_be_ignored(tmp_path: Path) -> None:
    assert "note" not in rows(raw_rows(tmp_path, line(note="x"), new_columns="ignore"))[0]


BAD = {
    "empty": ("", r"is empty \(0 bytes\)"),
    "blank": ("\n \n", r"is empty \(3 bytes\)"),
    "truncated": (line() + line()[:40], r"line 2 is no JSON object\. It is the last line: is the file truncated\?"),
    "no objects": (line() + "[1]\n" + line(), r"line 2 is no JSON object\. Write"),
    "missing": (line().replace("amount", "total").replace(', "total": 2', ""), r"lacks columns of the spec: amount"),
    "renamed": (line().replace("amount", "total"), r"does not name: total"),
    "new": (line() + line(note="CANARY"), r"orders\.jsonl \(line 2\) has columns that the spec does not name: note"),
    "text": (
        line() + line(amount="CANARY") + line() + line(amount="CANARY"),
        r"column 'amount' is float64 \(a number\), but 2 values are not; the first is in line 2",
    ),
    "fraction": (line(order_id=1.5), r"column 'order_id' is int64 \(a whole number\), but 1 values are not"),
    "number": (line(customer=5), r"column 'customer' is string"),
    "flag": (line(paid=1), r"column 'paid' is bool"),
    "twice": (line().replace('"paid"', '"amount": 1, "paid"'), r"it has a duplicate key"),
}


@pytest.mark.parametrize(("content", "expected"), BAD.values(), ids=BAD.keys())
def test_refuses(tmp_path: Path, content: str, expected: str) -> None:
    with pytest.raises(DataRejectedError, match=expected) as refused:
        rows(raw_rows(tmp_path, content))
    assert "CANARY" not in str(refused.value)


def test_a_time_that_is_none_by_line(tmp_path: Path) -> None:
    shop = Shop(tmp_path, overrides={"format": "jsonl", "location": (tmp_path / "orders.jsonl").as_uri()})
    shop.file("orders.jsonl", line() + "\n" + line(placed_at="soon"))
    assert "column 'placed_at' is timestamp" in rejection(shop.ingest())
    assert "first in line 3" in rejection(shop.ingest())
