from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.support.data_steps import Shop, rejection

ORDERS = {
    "order_id": pa.array([1, 2, 3], pa.int32()),
    "customer": pa.array(["ann", None, "bob"], pa.large_string()),
    "placed_at": pa.array([datetime(2013, 3, day, tzinfo=UTC) for day in (5, 6, 7)], pa.timestamp("ns", "UTC")),
    "amount": pa.array([1.5, float("nan"), None], pa.float32()),
    "paid": pa.array([True, False, None]),
}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, overrides={"format": "parquet", "location": (tmp_path / "orders.parquet").as_uri()})


def write(shop: Shop, columns: dict[str, pa.Array]) -> bytes:
    path = shop.folder / "orders.parquet"
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path.read_bytes()


def test_a_source_is_ingested_in_the_types_of_the_spec(shop: Shop) -> None:
    write(shop, ORDERS)
    shop.ingest()
    assert shop.rows("raw/orders") == [
        {"order_id": 1, "customer": "ann", "placed_at": datetime(2013, 3, 5, tzinfo=UTC), "amount": 1.5, "paid": True},
        {"order_id": 2, "customer": None, "placed_at": datetime(2013, 3, 6, tzinfo=UTC), "amount": None, "paid": False},
        {"order_id": 3, "customer": "bob", "placed_at": datetime(2013, 3, 7, tzinfo=UTC), "amount": None, "paid": None},
    ]


def test_whole_numbers_may_be_written_as_numbers(shop: Shop) -> None:
    write(shop, ORDERS | {"order_id": pa.array([1.0, 2.0, 3.0])})
    shop.ingest()
    assert [row["order_id"] for row in shop.rows("raw/orders")] == [1, 2, 3]


BAD = {
    "text": (
        {"amount": pa.array(["a", None, "b"])},
        r"column 'amount' is float64 (a number), but 2 values are not; first in row 1",
    ),
    "fraction": (
        {"order_id": pa.array([1.0, 2.5, 3.0])},
        "column 'order_id' is int64 (a whole number), but 1 value is not; first in row 2",
    ),
    "number": ({"customer": pa.array([1, 2, 3])}, "column 'customer' is string (text), but 3 values are not"),
    "new": ({"note": pa.array(["a", "b", "c"])}, "columns that the spec does not name: note"),
}


@pytest.mark.parametrize(("columns", "expected"), BAD.values(), ids=BAD.keys())
def test_refuses(shop: Shop, columns: dict[str, pa.Array], expected: str) -> None:
    write(shop, ORDERS | columns)
    assert expected in rejection(shop.ingest())


def test_a_truncated_file(shop: Shop) -> None:
    shop.file("orders.parquet", write(shop, ORDERS)[:-30])
    assert "is not a complete Parquet file" in rejection(shop.ingest())


def test_an_empty_file(shop: Shop) -> None:
    shop.file("orders.parquet", b"")
    assert "is empty (0 bytes)" in rejection(shop.ingest())


def test_no_rows(shop: Shop) -> None:
    write(shop, {name: column.slice(0, 0) for name, column in ORDERS.items()})
    assert "has a header and no rows" in rejection(shop.ingest())
