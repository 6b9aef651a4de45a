import json
import multiprocessing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.contract.receipt import OutcomeStatus
from include.contract.results import ValidateResults
from include.contract.step_names import StepName
from include.runtime.cli import main
from include.steps.validate import step as validate
from include.stores.objects.open import open_objects
from include.stores.tables.open import open_tables
from tests.support.data_steps import HEADER, Shop, order_line, orders, rejection

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

PARALLEL = 8


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def published(shop: Shop) -> list[str]:
    names = ("validated/orders", "validated/customers", "quarantine/orders", "quarantine/customers")
    return [name for name in names if shop.tables.partitions(f"shop/{name}")]


def ingest(shop: Shop, lines: str) -> None:
    shop.file("orders.csv", HEADER + lines)
    shop.ingest_all()


def test_good_rows_are_published_as_they_were_ingested(shop: Shop) -> None:
    shop.ingest_all()
    receipt = shop.receipt(shop.run(StepName.VALIDATE))
    assert shop.rows("validated/orders") == shop.rows("raw/orders")
    assert shop.rows("validated/customers") == shop.rows("raw/customers")
    assert published(shop) == ["validated/orders", "validated/customers"]
    assert receipt.row_counts["rows"] == 8
    assert receipt.row_counts["quarantined"] == 0
    assert receipt.results_of(ValidateResults).broken == {"orders": {}, "customers": {}}


def test_bad_rows_go_to_quarantine_with_every_reason(shop: Shop) -> None:
    lines = orders(4) + order_line(1) + order_line(9, amount=-5) + order_line(9, amount=5000)
    ingest(shop, lines)
    receipt = shop.receipt(shop.run(StepName.VALIDATE))
    assert [row["order_id"] for row in shop.rows("validated/orders")] == [1, 2, 3, 4]
    between = "expect_column_values_to_be_between(amount)"
    assert [(row["order_id"], row["reason"]) for row in shop.rows("quarantine/orders")] == [
        (1, "unique_key"),
        (9, between),
        (9, f"unique_key; {between}"),
    ]
    assert receipt.row_counts["orders.quarantined"] == 3
    assert receipt.results_of(ValidateResults).broken["orders"] == {"unique_key": 2, between: 2}


def test_nothing_is_lost(shop: Shop) -> None:
    ingest(shop, orders(5) + orders(2))
    shop.run(StepName.VALIDATE)
    kept = shop.rows("validated/orders") + [
        {name: value for name, value in row.items() if name != "reason"} for row in shop.rows("quarantine/orders")
    ]
    assert sorted(map(str, kept)) == sorted(map(str, shop.rows("raw/orders")))


def test_a_quarantine_is_emptied_when_its_rows_are_good_again(shop: Shop) -> None:
    ingest(shop, orders(4) + orders(1))
    shop.run(StepName.VALIDATE)
    ingest(shop, orders(5))
    shop.run(StepName.VALIDATE)
    assert shop.rows("quarantine/orders") == []
    assert len(shop.rows("validated/orders")) == 5


def test_is_done_once(shop: Shop) -> None:
    shop.ingest_all()
    assert shop.run(StepName.VALIDATE).outcome.status is OutcomeStatus.DONE
    assert shop.run(StepName.VALIDATE).outcome.status is OutcomeStatus.ALREADY_DONE


def test_a_changed_rule_validates_again(shop: Shop) -> None:
    shop.ingest_all()
    shop.run(StepName.VALIDATE)
    shop.overrides = {"rows": {"at_least": 100, "at_most": 1000}}
    assert "row_count: observed 6, allowed from 100 to 1000 rows" in rejection(shop.run(StepName.VALIDATE))


def all_null(lines: str) -> str:
    return lines.replace("20.5", "NA")


BAD = {
    "too few rows": (orders(2), {}, "row_count: observed 2, allowed from 3 to 1000 rows"),
    "half a delivery": (orders(6), {"rows": {"at_least": 10, "at_most": 20}}, "row_count: observed 6"),
    "an all-null column": (all_null(orders()), {}, "nulls_at_most(amount): observed 1, allowed a share of at most 0.5"),
    "too many duplicate keys": (
        orders(3) * 3,
        {},
        "6 of 9 rows (66.67%) are bad, quarantine_at_most is 50.00% (unique_key: 6 of 9 rows)",
    ),
    "too many bad values": (
        orders(3) + "".join(order_line(number, amount=-77.25) for number in range(10, 15)),
        {},
        "5 of 8 rows (62.50%) are bad",
    ),
    "a broken mean": (
        "".join(order_line(number, amount=999) for number in range(30)),
        {},
        "expect_column_mean_to_be_between(amount): observed 999, allowed min_value 0.0, max_value 900.0",
    ),
    "missing values where none may be": (
        orders(3).replace("ann", "") + orders(2, first=10),
        {},
        "3 of 5 rows (60.00%) are bad, quarantine_at_most is 50.00% (not_null(customer): 3 of 5 rows)",
    ),
    "no good row": (orders(3).replace("ann", ""), {"quarantine_at_most": 1.0}, "none of the 3 rows is good"),
}


@pytest.mark.parametrize(("lines", "overrides", "expected"), BAD.values(), ids=BAD.keys())
def test_rejects(shop: Shop, lines: str, overrides: dict[str, object], expected: str) -> None:
    shop.overrides = overrides
    ingest(shop, lines)
    before = shop.rows("raw/orders")
    message = rejection(shop.run(StepName.VALIDATE))
    assert expected in message
    assert "source 'orders' (shop/raw/orders version " in message
    assert "Report: memory:///reports/shop/validate/2013-03/" in message
    assert published(shop) == []
    assert not shop.objects.list("receipts/shop/validate/")
    assert shop.rows("raw/orders") == before
    report = json.loads(shop.report(StepName.VALIDATE, "validation.json"))
    assert [source["passed"] for source in report["sources"]] == [False, True]


def test_rows_of_another_month(shop: Shop) -> None:
    """Ingest leaves them out; a raw table that holds some is not trusted all the same."""
    shop.overrides = {"event_time": None, "quarantine_at_most": 0.2}
    ingest(shop, orders(4) + orders(1, first=9, month=5))
    shop.overrides = {"quarantine_at_most": 0.2}
    shop.run(StepName.VALIDATE)
    assert [row["reason"] for row in shop.rows("quarantine/orders")] == ["inside_partition(placed_at)"]
    shop.overrides = {"quarantine_at_most": 0.1}
    assert "inside_partition(placed_at): 1 of 5 rows" in rejection(shop.run(StepName.VALIDATE))


def test_every_source_is_validated_before_the_step_ends(shop: Shop) -> None:
    shop.file("customers.csv", "customer,country\nann,US\nann,FR\n")
    ingest(shop, orders(2))
    message = rejection(shop.run(StepName.VALIDATE))
    assert "row_count: observed 2" in message
    assert "source 'customers' (shop/raw/customers version 0): 1 of 2 rows (50.00%) are bad" in message
    assert published(shop) == []


def test_a_warning_only_warns(shop: Shop) -> None:
    ingest(shop, orders(4) + orders(2, first=10).replace("ann", "Ann"))
    receipt = shop.receipt(shop.run(StepName.VALIDATE))
    assert len(shop.rows("validated/orders")) == 6
    assert receipt.results_of(ValidateResults).broken["orders"] == {"expect_column_values_to_match_regex(customer)": 2}
    warnings = [event for event in shop.events() if event["level"] == "warning"]
    assert warnings[0]["finding"] == "expect_column_values_to_match_regex(customer): 2 of 6 rows"


def test_a_partition_that_was_never_ingested(shop: Shop) -> None:
    shop.ingest("customers")
    message = rejection(shop.run(StepName.VALIDATE))
    assert "Source 'orders' of 2013-03 was not ingested" in message
    assert "Run 'ingest --partition 2013-03 --source orders'." in message


def test_rows_without_an_ingest_receipt(shop: Shop) -> None:
    shop.ingest_all()
    rows = shop.tables.read("shop/raw/orders", "2013-03")
    shop.tables.write("shop/raw/orders", "2013-03", rows.slice(1), stamp={"by": "hand"})
    assert "that no receipt of ingest names" in rejection(shop.run(StepName.VALIDATE))


def test_a_spec_that_changed_since_the_rows_were_ingested(shop: Shop) -> None:
    shop.ingest_all()
    columns = dict(json.loads(shop.spec.sources["orders"].model_dump_json())["columns"])
    columns["amount"]["type"] = "int64"
    shop.overrides = {"columns": columns}
    assert "columns: observed 1, allowed none missing, new or of another type" in rejection(shop.run(StepName.VALIDATE))


def test_no_value_of_a_row_leaves_the_tables(shop: Shop, capfd: pytest.CaptureFixture[str]) -> None:
    """A canary in a bad row, in a row that only warns and in a good one: it is in the quarantine and nowhere else."""
    canary = orders(2, first=20).replace("ann", "CANARY").replace("20.5", "-0.8675309")
    ingest(shop, orders(6) + canary + canary)
    receipt = shop.receipt(shop.run(StepName.VALIDATE))
    shop.overrides = {"quarantine_at_most": 0.0}
    message = rejection(shop.run(StepName.VALIDATE))
    assert {row["customer"] for row in shop.rows("quarantine/orders")} == {"CANARY"}
    objects = b"".join(shop.objects.get(key) for key in shop.objects.list(""))
    printed = capfd.readouterr()
    written = objects.decode() + receipt.model_dump_json() + message + shop.log.getvalue() + printed.out + printed.err
    assert "CANARY" not in written
    assert "8675309" not in written
    assert "Calculating" not in written


def test_the_page_is_self_contained(shop: Shop) -> None:
    ingest(shop, orders(4) + orders(1))
    shop.run(StepName.VALIDATE)
    page = shop.report(StepName.VALIDATE, "validation.html").decode()
    assert "http" not in page
    assert "unique_key" in page
    assert "No refunds." in page


def on_disk(folder: Path) -> Shop:
    uri = folder.as_uri()
    return Shop(folder, tables=open_tables(f"{uri}/tables"), objects=open_objects(f"{uri}/objects"))


def validated_alone(folder: Path, month: int, results: "Queue[tuple[int, str, int]]") -> None:
    shop = on_disk(folder)
    ending = shop.run(StepName.VALIDATE, f"2013-{month:02}")
    count = len(shop.rows("quarantine/orders", f"2013-{month:02}"))
    results.put((month, ending.outcome.status.value, count))


def test_eight_at_once_give_eight_right_results(tmp_path: Path) -> None:
    shop = on_disk(tmp_path)
    months = range(1, PARALLEL + 1)
    shop.file("orders.csv", HEADER + "".join(orders(20, month=month) + orders(month, month=month) for month in months))
    for month in months:
        shop.ingest_all(f"2013-{month:02}")
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(
        ["great_expectations", "great_expectations.expectations", validated_alone.__module__]
    )
    results = processes.Queue()
    children = [processes.Process(target=validated_alone, args=(tmp_path, month, results)) for month in months]
    for child in children:
        child.start()
    finished = sorted(results.get(timeout=200) for _ in months)
    for child in children:
        child.join(30)
    assert finished == [(month, "done", month) for month in months]


def test_killed_between_two_tables_it_is_done_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(shop, orders(6))
    publish = validate._publish
    killed: list[bool] = []

    def dying(*args: object) -> object:
        if not killed:
            killed.append(True)
            publish(*args)  # type: ignore[arg-type]
            raise KeyboardInterrupt
        return publish(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(validate, "_publish", dying)
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        shop.run(StepName.VALIDATE)
    assert published(shop) == ["validated/orders"]
    assert not shop.objects.list("receipts/shop/validate/")
    assert shop.run(StepName.VALIDATE).outcome.status is OutcomeStatus.DONE
    assert published(shop) == ["validated/orders", "validated/customers"]


def test_flights_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ML_TABLES_URI", (tmp_path / "tables").as_uri())
    monkeypatch.setenv("ML_OBJECTS_URI", (tmp_path / "objects").as_uri())
    words = ["--project", "flights", "--partition", "2013-02", "--run", "by-hand"]
    assert main(["validate", *words]) == 65
    assert "Source 'flights' of 2013-02 was not ingested" in capfd.readouterr().err
    for source in ("flights", "weather", "planes", "airports", "airlines"):
        assert main(["ingest", *words, "--source", source]) == 0
    assert main(["validate", *words]) == 0
    tables = open_tables((tmp_path / "tables").as_uri())
    (broken,) = tables.read("flights/quarantine/weather", "2013-02").to_pylist()
    assert broken["reason"] == "expect_column_values_to_be_between(wind_speed)"
    assert tables.read("flights/validated/flights", "2013-02").num_rows == 24_951
