import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.spec.sources import ColumnType
from include.steps.ingest.read_sql import QueryResult, _plain, query_result
from tests.support.data_steps import source_of

BOUNDS = (datetime(2013, 3, 1, 5, tzinfo=UTC), datetime(2013, 4, 1, 4, tzinfo=UTC))
QUERY = "select order_id, customer, placed_at, amount, paid from orders where placed_at >= :start and placed_at < :end"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.execute("create table orders (order_id, customer, placed_at, amount, paid)")
    lines = [
        (1, "ann", "2013-03-01 04:59:59.000000", 1.0, 1),
        (2, "bob", "2013-03-01 05:00:00.000000", None, 0),
        (3, "ann", "2013-03-31 23:00:00.000000", 3.0, 1),
        (4, "ann", "2013-04-01 04:00:00.000000", 4.0, 1),
    ]
    connection.executemany("insert into orders values (?, ?, ?, ?, ?)", lines)
    connection.commit()
    connection.close()
    return path


def run(database: Path, query: str = QUERY) -> QueryResult:
    source = source_of({"format": "sql", "location": "shop", "query": query})
    return query_result(source, url=f"sqlite:///{database}", bounds=BOUNDS)


def test_bounds_are_bound_in_utc(database: Path) -> None:
    result = run(database)
    assert result.rows.column("order_id").to_pylist() == [2, 3]
    assert result.rows.column("paid").to_pylist() == [False, True]
    assert result.state.name == "sql://shop"


def test_the_digest_is_that_of_the_rows(database: Path) -> None:
    before = run(database).state
    assert run(database, f"{QUERY} -- a remark").state == before
    with sqlite3.connect(database) as connection:
        connection.execute("update orders set amount = 3.5 where order_id = 3")
    connection.close()
    assert run(database).state.digest != before.digest


def test_columns_come_in_the_order_of_the_spec(database: Path) -> None:
    names = run(database, "select paid, amount, placed_at, customer, order_id from orders").rows.column_names
    assert names == ["order_id", "customer", "placed_at", "amount", "paid"]


def test_no_rows(database: Path) -> None:
    assert run(database, f"{QUERY} and false").rows.num_rows == 0


@pytest.mark.parametrize("query", ["delete from orders", "  update orders set paid = 0", "drop table orders", ""])
def test_a_query_that_does_more_than_read(database: Path, query: str) -> None:
    if not query:
        query = " "
    with pytest.raises(ConfigurationError, match=r"a source only reads, so write a SELECT or WITH"):
        run(database, query)


def test_a_query_that_writes_in_disguise(database: Path) -> None:
    disguised = "with x as (select 1) delete from orders"
    with pytest.raises((ConfigurationError, TemporaryError), match=r"readonly|attempt to write"):
        run(database, disguised)
    assert run(database).rows.num_rows == 2


def test_a_parameter_that_nobody_binds(database: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"uses ':begin'; only :start and :end are bound"):
        run(database, "select * from orders where placed_at > :begin")


def test_a_table_that_is_not_there(database: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"refused the query: no such table: order\. Correct 'query'"):
        run(database, "select * from 'order'")


def test_a_missing_column(database: Path) -> None:
    with pytest.raises(DataRejectedError, match=r"sql://shop lacks columns of the spec: paid"):
        run(database, "select order_id, customer, placed_at, amount from orders")


def test_text_where_numbers_belong(database: Path) -> None:
    expected = r"column 'amount' is float64, but of rows 1 to 4 of the result 1 are not, first row 3"
    query = "select order_id, customer, placed_at, iif(order_id = 3, 'CANARY', 1) as amount, paid from orders"
    with pytest.raises(DataRejectedError, match=expected) as refused:
        run(database, query)
    assert "CANARY" not in str(refused.value)


@pytest.mark.parametrize("url", ["CANARY", "nosuch://ann:CANARY@host/db", "postgresql+nodriver://ann:CANARY@host/db"])
def test_a_url_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ML_CONNECTION_SHOP is no SQLAlchemy URL") as raised:
        query_result(source_of({"format": "sql", "location": "shop", "query": QUERY}), url=url, bounds=BOUNDS)
    assert "CANARY" not in str(raised.value)


def test_a_database_that_does_not_respond(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match=r"the database does not respond: unable to open database file"):
        run(tmp_path / "gone" / "shop.db")


@pytest.mark.parametrize(
    ("value", "kind", "plain"),
    [
        (Decimal("1.50"), ColumnType.FLOAT64, 1.5),
        (Decimal(2), ColumnType.INT64, 2),
        (Decimal("2.5"), ColumnType.INT64, Decimal("2.5")),
        (date(2013, 3, 1), ColumnType.TIMESTAMP, "2013-03-01"),
        (datetime(2013, 3, 1, tzinfo=UTC), ColumnType.TIMESTAMP, "2013-03-01T00:00:00+00:00"),
        (1, ColumnType.BOOL, True),
        (2, ColumnType.BOOL, 2),
        (None, ColumnType.INT64, None),
    ],
)
def test_what_drivers_give(value: object, kind: ColumnType, plain: object) -> None:
    assert _plain(value, kind) == plain
