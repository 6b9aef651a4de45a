import json
from pathlib import Path

import pytest

from include.contract.receipt import OutcomeStatus, TableState
from include.contract.results import ProfileResults
from include.contract.step_names import StepName
from tests.support.data_steps import HEADER, Shop, order_line, orders, rejection


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    early = "".join(orders(20, first=100 * month, month=month) for month in (1, 2))
    late = "".join(order_line(number, amount=400) for number in range(500, 520))
    shop.file("orders.csv", HEADER + early + late)
    return shop


def validate(shop: Shop, *partitions: str) -> None:
    for partition in partitions:
        shop.ingest_all(partition)
        assert shop.run(StepName.VALIDATE, partition).error is None


def test_compares_with_the_partitions_before(shop: Shop) -> None:
    validate(shop, "2013-01", "2013-02", "2013-03")
    receipt = shop.receipt(shop.run(StepName.PROFILE))
    assert [state.partition for state in receipt.inputs if isinstance(state, TableState)] == [
        "2013-03",
        "2013-01",
        "2013-02",
    ]
    assert receipt.results_of(ProfileResults).compared_with == ("2013-01", "2013-02")
    assert receipt.row_counts == {"rows": 20, "rows_before": 40}
    drift = json.loads(shop.report(StepName.PROFILE, "drift.json"))
    by_name = {column["column"]: column for column in drift["columns"]}
    assert by_name["amount"]["level"] == "none"
    assert by_name["amount"]["kind"] == "constant"
    assert by_name["placed_at"]["kind"] == "moments"


def test_names_what_drifts(shop: Shop) -> None:
    amounts = "".join(order_line(n, month=n % 3 + 1, amount=n if n % 3 < 2 else 10 * n) for n in range(90))
    shop.file("orders.csv", HEADER + amounts)
    validate(shop, "2013-01", "2013-02", "2013-03")
    receipt = shop.receipt(shop.run(StepName.PROFILE))
    assert receipt.results_of(ProfileResults).columns_drifting != 0
    top = json.loads(shop.report(StepName.PROFILE, "drift.json"))["columns"][0]
    assert (top["column"], top["level"]) == ("amount", "strong")
    assert receipt.results_of(ProfileResults).drifting[0].model_dump(mode="json") == top


def test_at_most_three_and_no_later_ones(shop: Shop) -> None:
    shop.file("orders.csv", HEADER + "".join(orders(5, first=100 * month, month=month) for month in range(1, 7)))
    validate(shop, *(f"2013-{month:02}" for month in range(1, 7)))
    receipt = shop.receipt(shop.run(StepName.PROFILE, "2013-05"))
    assert receipt.results_of(ProfileResults).compared_with == ("2013-02", "2013-03", "2013-04")


def test_the_first_partition_has_nothing_to_compare_with(shop: Shop) -> None:
    validate(shop, "2013-01")
    receipt = shop.receipt(shop.run(StepName.PROFILE, "2013-01"))
    assert receipt.results == ProfileResults(compared_with=(), columns_drifting=0, drifting=())
    assert b"There is no partition before" in shop.report(StepName.PROFILE, "drift.html", "2013-01")


def test_the_pages_stand_alone(shop: Shop) -> None:
    validate(shop, "2013-02", "2013-03")
    shop.run(StepName.PROFILE)
    page = shop.report(StepName.PROFILE, "profile.html").decode()
    assert "Shop: orders 2013-03" in page
    assert 'src="http' not in page
    assert b"<svg" in shop.report(StepName.PROFILE, "drift.html")


def test_an_all_null_column_is_described(shop: Shop) -> None:
    columns = dict(json.loads(shop.spec.sources["orders"].model_dump_json())["columns"])
    columns["amount"]["nulls_at_most"] = 1.0
    shop.overrides = {"columns": columns, "checks": []}
    shop.file("orders.csv", HEADER + orders(9).replace("20.5", "") + orders(9, first=50, month=2))
    validate(shop, "2013-02", "2013-03")
    assert shop.run(StepName.PROFILE).outcome.status is OutcomeStatus.DONE


def test_is_done_once_and_again_when_an_earlier_partition_appears(shop: Shop) -> None:
    validate(shop, "2013-03")
    assert shop.run(StepName.PROFILE).outcome.status is OutcomeStatus.DONE
    assert shop.run(StepName.PROFILE).outcome.status is OutcomeStatus.ALREADY_DONE
    validate(shop, "2013-02")
    receipt = shop.receipt(shop.run(StepName.PROFILE))
    assert receipt.results_of(ProfileResults).compared_with == ("2013-02",)


def test_a_partition_that_was_not_validated(shop: Shop) -> None:
    shop.ingest_all()
    message = rejection(shop.run(StepName.PROFILE))
    assert "no partition 2013-03 that a receipt of validate names" in message
    assert "Run 'validate --partition 2013-03'." in message


def test_rows_without_a_receipt_are_neither_described_nor_compared_with(shop: Shop) -> None:
    validate(shop, "2013-02", "2013-03")
    rows = shop.tables.read("shop/validated/orders", "2013-02")
    shop.tables.write("shop/validated/orders", "2013-02", rows.slice(1), stamp={"by": "hand"})
    receipt = shop.receipt(shop.run(StepName.PROFILE))
    assert receipt.results_of(ProfileResults).compared_with == ()
    rejection(shop.run(StepName.PROFILE, "2013-02"))
