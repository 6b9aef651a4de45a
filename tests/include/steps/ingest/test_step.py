import os
import re
import sqlite3
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.contract.receipt import ObjectState, OutcomeStatus, TableState
from include.contract.results import IngestResults
from include.contract.step_names import StepName
from include.errors import TemporaryError
from include.runtime.cli import main
from include.runtime.context import Plan
from include.runtime.ending import Ending
from include.runtime.runner import run_step
from include.spec.load import load_project
from include.spec.project import ProjectSpec
from include.steps.ingest import step as ingest
from include.stores.tables.memory import MemoryTables
from tests.support.data_steps import HEADER, Shop, order_line, orders, rejection


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def nothing_published(shop: Shop) -> bool:
    return not shop.tables.partitions("shop/raw/orders") and not shop.objects.list("receipts/")


def test_writes_the_rows_of_the_partition_in_their_types_and_order(shop: Shop) -> None:
    shop.file("orders.csv", HEADER + orders(3, first=7) + orders(4, month=4) + order_line(1, amount="NA"))
    receipt = shop.receipt(shop.ingest())
    assert [row["order_id"] for row in shop.rows("raw/orders")] == [7, 8, 9, 1]
    placed_at = datetime(2013, 3, 5, 12, tzinfo=UTC)
    last = {"order_id": 1, "customer": "ann", "placed_at": placed_at, "amount": None, "paid": True}
    assert shop.rows("raw/orders")[-1] == last
    assert receipt.row_counts == {"rows_read": 8, "rows_kept": 4, "rows_outside": 4, "rows_timeless": 0}
    assert isinstance(receipt.outputs[0], TableState)
    assert receipt.outputs[0].row_count == 4


def test_partitions_are_local_months(shop: Shop) -> None:
    lines = ["1,ann,2013-03-01T04:59:59Z,1,true\n", "2,ann,2013-03-01T05:00:00Z,1,true\n"]
    lines += ["3,ann,2013-04-01T03:59:59Z,1,true\n", "4,ann,2013-04-01T04:00:00Z,1,true\n"]
    shop.file("orders.csv", HEADER + "".join(lines))
    shop.ingest()
    assert [row["order_id"] for row in shop.rows("raw/orders")] == [2, 3]


def test_a_register_is_read_whole_for_every_partition(shop: Shop) -> None:
    shop.ingest("customers", "2013-03")
    shop.ingest("customers", "2013-04")
    assert shop.rows("raw/customers", "2013-04") == shop.rows("raw/customers", "2013-03")
    assert len(shop.rows("raw/customers")) == 2


def test_the_same_bytes_are_ingested_once(shop: Shop) -> None:
    assert shop.ingest().outcome.status is OutcomeStatus.DONE
    assert shop.ingest().outcome.status is OutcomeStatus.ALREADY_DONE
    assert isinstance(shop.tables, MemoryTables)
    assert len(shop.tables.stamps) == 1


def test_other_bytes_replace_the_partition(shop: Shop) -> None:
    shop.ingest()
    shop.file("orders.csv", HEADER + orders(3))
    assert shop.ingest().outcome.status is OutcomeStatus.DONE
    assert len(shop.rows("raw/orders")) == 3


def test_a_file_changed_in_place_is_noticed_even_if_its_size_and_time_are_not(shop: Shop) -> None:
    path = shop.folder / "orders.csv"
    before = path.stat()
    shop.ingest()
    shop.file("orders.csv", (HEADER + orders()).replace("20.5", "20.6", 1))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    shop.ingest()
    assert shop.rows("raw/orders")[0]["amount"] == 20.6


def test_the_receipt_names_the_source_by_content(shop: Shop) -> None:
    receipt = shop.receipt(shop.ingest())
    (read,) = receipt.inputs
    assert isinstance(read, ObjectState)
    assert read.name == (shop.folder / "orders.csv").as_uri()
    assert read.digest.startswith("sha256:")
    assert read.size_bytes == len(HEADER + orders())


def test_reads_a_member_of_a_zip_archive(shop: Shop) -> None:
    with zipfile.ZipFile(shop.folder / "orders.zip", "w") as archive:
        archive.writestr("2013-03/orders.csv", HEADER + orders(4))
    shop.overrides = {"location": (shop.folder / "orders.zip").as_uri(), "member": "{partition}/orders.csv"}
    shop.ingest()
    assert len(shop.rows("raw/orders")) == 4


def test_the_partition_stands_in_the_location(shop: Shop) -> None:
    shop.file("orders-2013-03.csv", HEADER + orders(5))
    shop.overrides = {"location": f"{shop.folder.as_uri()}/orders-{{partition}}.csv"}
    shop.ingest()
    assert len(shop.rows("raw/orders")) == 5
    assert "orders-2013-05.csv does not exist" in rejection(shop.ingest(partition="2013-05"))


def test_reads_a_query(shop: Shop) -> None:
    database = shop.folder / "shop.db"
    connection = sqlite3.connect(database)
    connection.execute("create table orders (order_id, customer, placed_at, amount, paid)")
    lines = [(n, "ann", f"2013-0{n}-05 12:00:00.000000", 1.5 * n, n % 2) for n in (2, 3, 4)]
    connection.executemany("insert into orders values (?, ?, ?, ?, ?)", lines)
    connection.commit()
    connection.close()
    query = "select * from orders where placed_at >= :start and placed_at < :end"
    shop.overrides = {"format": "sql", "location": "shop", "query": query}
    shop.environment["ML_CONNECTION_SHOP"] = f"sqlite:///{database}"
    receipt = shop.receipt(shop.ingest())
    assert shop.rows("raw/orders") == [
        {
            "order_id": 3,
            "customer": "ann",
            "placed_at": datetime(2013, 3, 5, 12, tzinfo=UTC),
            "amount": 4.5,
            "paid": True,
        }
    ]
    assert receipt.inputs[0].name == "sql://shop"
    assert shop.ingest().outcome.status is OutcomeStatus.ALREADY_DONE


def whole(shop: Shop, partition: str = "2013-03") -> Ending:
    return run_step(shop.context(StepName.INGEST, partition))


def test_without_a_source_it_ingests_all_each_with_a_receipt_of_its_own(shop: Shop) -> None:
    ending = whole(shop)
    assert ending.outcome.status is OutcomeStatus.DONE
    assert sorted(ending.outcome.receipts) == ["2013-03/customers", "2013-03/orders"]
    assert (len(shop.rows("raw/orders")), len(shop.rows("raw/customers"))) == (6, 2)
    assert shop.ingest("orders").outcome.receipt == ending.outcome.receipts["2013-03/orders"]
    assert shop.ingest("orders").outcome.status is OutcomeStatus.ALREADY_DONE


def test_only_the_source_that_changed_is_ingested_again(shop: Shop) -> None:
    first = whole(shop).outcome
    shop.file("orders.csv", HEADER + orders(3))
    second = whole(shop).outcome
    assert second.status is OutcomeStatus.DONE
    assert second.receipts["2013-03/customers"] == first.receipts["2013-03/customers"]
    assert second.receipts["2013-03/orders"] != first.receipts["2013-03/orders"]
    assert isinstance(shop.tables, MemoryTables)
    assert len(shop.tables.stamps) == 3


def test_a_source_that_is_refused_keeps_no_other_from_its_rows_and_only_it_is_tried_again(shop: Shop) -> None:
    shop.file("orders.csv", HEADER)
    message = rejection(whole(shop))
    assert message.startswith("1 of 2 parts failed (orders). orders: Source 'orders' of 2013-03: file:")
    assert (shop.tables.partitions("shop/raw/orders"), len(shop.rows("raw/customers"))) == ([], 2)
    shop.file("orders.csv", HEADER + orders())
    assert whole(shop).outcome.status is OutcomeStatus.DONE
    assert isinstance(shop.tables, MemoryTables)
    assert len(shop.tables.stamps) == 2


def test_a_source_with_a_task_of_its_own_is_ingested_by_that_alone(shop: Shop) -> None:
    shop.overrides = {"own_task": True}
    assert list(whole(shop).outcome.receipts) == ["2013-03/customers"]
    assert not shop.tables.partitions("shop/raw/orders")
    assert shop.ingest("orders").outcome.status is OutcomeStatus.DONE


def test_where_every_source_has_a_task_of_its_own_one_must_be_named(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProjectSpec, "sources_of_task", lambda _spec, _source: ())
    ending = whole(shop)
    assert ending.outcome.exit_code == 78
    assert "has a task of its own; name one with --source: customers, orders." in str(ending.error)


BAD_FILES = {
    "an empty file": ("", r"Source 'orders' of 2013-03: file:.*orders\.csv is empty \(0 bytes\)"),
    "a header only": (HEADER, r"has a header and no rows"),
    "a truncated file": (
        (HEADER + orders(6))[:-20],
        r"line 7 has 3 fields, the header has 5\. It is the last line: is the file truncated\?",
    ),
    "a ragged line": (HEADER + "1,ann\n" + orders(6), r"line 2 has 2 fields, the header has 5\."),
    "a missing column": (
        (HEADER + orders()).replace(",amount", "").replace(",20.5", ""),
        r"lacks columns of the spec: amount\.",
    ),
    "a new column": (
        (HEADER + orders()).replace("paid\n", "paid,note\n").replace("true\n", "true,x\n"),
        r"columns that the spec does not name: note\. Describe them in .*, or write 'new_columns: ignore'",
    ),
    "a renamed column": (
        (HEADER + orders()).replace("amount", "total"),
        r"lacks columns of the spec: amount\. Was 'amount' renamed to 'total'\?",
    ),
    "a column twice": ((HEADER + orders()).replace("customer", "paid"), r"has duplicate columns: paid"),
    "no header": (orders(), r"none of the 5 columns of the spec .* Is there a header"),
    "text where numbers belong": (
        HEADER + orders(3) + order_line(9, amount="CANARY") + orders(2, month=4) + order_line(10, amount="many"),
        r"column 'amount' is float64 \(a number\), but 2 values are not; first in line 5",
    ),
    "a time that is none": (
        (HEADER + orders()).replace("2013-03-03T", "CANARY"),
        r"column 'placed_at' is timestamp .*, but 1 value is not; first in line 3",
    ),
    "rows of another month": (
        HEADER + orders(6, month=5),
        r"has 6 rows and none with placed_at from 2013-03-01 00:00:00-05:00",
    ),
    "rows without time": (
        (HEADER + orders(6)).replace("2013-03-03T12:00:00Z", ""),
        r"1 of 6 rows have no placed_at and so belong to no partition \(first in line 3\)",
    ),
    "another encoding": ((HEADER + orders()).encode("utf-16"), r"is written in UTF-16, not in UTF-8"),
    "bytes that are no text": (
        (HEADER + orders()).encode().replace(b"ann", b"\xff\xfe", 1),
        r"a value after line \d is not UTF-8",
    ),
    "a quote that never closes": (HEADER + orders(3) + '9,"ann,2013-03-05T12:00:00Z,1,true\n', r"line 5 has 2 fields"),
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_refuses(shop: Shop, content: tuple[str | bytes, str]) -> None:
    written, expected = content
    shop.file("orders.csv", written)
    ending = shop.ingest()
    message = rejection(ending)
    assert re.search(expected, message), message
    assert "CANARY" not in message + shop.log.getvalue()
    assert nothing_published(shop)


def test_what_was_refused_leaves_the_earlier_rows_alone(shop: Shop) -> None:
    shop.ingest()
    shop.file("orders.csv", HEADER)
    rejection(shop.ingest())
    assert len(shop.rows("raw/orders")) == 6


def test_a_byte_order_mark_is_no_part_of_the_first_column(shop: Shop) -> None:
    shop.file("orders.csv", "\ufeff" + HEADER + orders())
    shop.ingest()
    assert len(shop.rows("raw/orders")) == 6


def test_new_columns_can_be_ignored(shop: Shop) -> None:
    shop.overrides = {"new_columns": "ignore"}
    shop.file("orders.csv", (HEADER + orders()).replace("paid\n", "paid,note\n").replace("true\n", "true,x\n"))
    receipt = shop.receipt(shop.ingest())
    assert receipt.results_of(IngestResults).ignored_columns == ("note",)
    assert "note" not in shop.rows("raw/orders")[0]


def test_half_an_archive(shop: Shop) -> None:
    with zipfile.ZipFile(shop.folder / "whole.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("orders.csv", HEADER + orders(500))
    shop.file("orders.zip", (shop.folder / "whole.zip").read_bytes()[:-200])
    shop.overrides = {"location": (shop.folder / "orders.zip").as_uri(), "member": "orders.csv"}
    assert "not a complete zip archive" in rejection(shop.ingest())
    assert nothing_published(shop)


def test_an_unknown_source(shop: Shop) -> None:
    ending = shop.ingest("order")
    assert ending.outcome.exit_code == 78
    assert "has no source 'order'; it has customers, orders. Did you mean 'orders'?" in str(ending.error)


@pytest.mark.parametrize("name", ["reason", "Partition"])
def test_columns_that_the_platform_adds_are_taken(shop: Shop, name: str) -> None:
    columns = {
        "order_id": {"type": "int64", "meaning": "Number."},
        "customer": {"type": "string", "meaning": "Who ordered."},
        "placed_at": {"type": "timestamp", "meaning": "When it was placed."},
        "amount": {"type": "float64", "meaning": "Dollars.", "known": "paid_at"},
        name: {"type": "string", "meaning": "Taken."},
    }
    shop.overrides = {"columns": columns}
    ending = shop.ingest()
    assert ending.outcome.exit_code == 78
    assert f"'{name}' is a column that the platform adds itself" in str(ending.error)


def test_a_file_that_is_written_to_while_it_is_read(shop: Shop) -> None:
    context = shop.context(StepName.INGEST, "2013-03", "orders")
    planned = ingest.plan(context)
    assert isinstance(planned, Plan)
    shop.file("orders.csv", HEADER + orders(7))
    with pytest.raises(TemporaryError, match=r"was changed while it was read"):
        planned.work("identity")
    assert nothing_published(shop)


def test_a_connection_that_is_not_set(shop: Shop) -> None:
    shop.overrides = {"format": "sql", "location": "shop", "query": "select 1"}
    ending = shop.ingest()
    assert ending.outcome.exit_code == 78
    assert "ML_CONNECTION_SHOP" in str(ending.error)


def test_says_what_it_does(shop: Shop) -> None:
    run_step(shop.context(StepName.INGEST, "2013-03", "orders"))
    events = {event["event"]: event for event in shop.events()}
    assert events["rows read"]["rows_kept"] == 6


def test_flights_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_TABLES_URI", (tmp_path / "tables").as_uri())
    monkeypatch.setenv("ML_OBJECTS_URI", (tmp_path / "objects").as_uri())
    words = ["ingest", "--project", "flights", "--partition", "2013-02", "--run", "by-hand", "--source"]
    assert main([*words, "flights"]) == 0
    assert '"rows_kept": 24951' in capfd.readouterr().err
    assert main([*words, "flight"]) == 78
    assert main([*words[:4], "2014-02", *words[5:], "weather"]) == 65
    assert "none with time_hour from 2014-02-01" in capfd.readouterr().err


@pytest.mark.parametrize("threads", ["1", "2"])
def test_all_sources_of_flights_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], threads: str
) -> None:
    monkeypatch.setenv("ML_TABLES_URI", (tmp_path / "tables").as_uri())
    monkeypatch.setenv("ML_OBJECTS_URI", (tmp_path / "objects").as_uri())
    monkeypatch.setenv("ML_ERROR_PATH", str(tmp_path / "message"))
    monkeypatch.setenv("ML_THREADS", threads)
    words = ["ingest", "--project", "flights", "--run", "by-hand", "--partition"]
    assert main([*words, "2013-02"]) == 0
    receipts = tmp_path / "objects" / "receipts" / "flights" / "ingest"
    assert {path.name for path in (receipts / "2013-02").iterdir()} == set(load_project("flights").sources)
    assert main([*words, "2014-02"]) == 65
    message = (tmp_path / "message").read_text()
    assert message.startswith("2 of 5 parts failed (flights, weather). flights: Source 'flights' of 2014-02: package:")
    assert " weather: Source 'weather' of 2014-02: package:" in message
    assert {path.name for path in (receipts / "2014-02").iterdir()} == {"airlines", "airports", "planes"}
    assert capfd.readouterr().err.count('"event": "part done"') == 8
