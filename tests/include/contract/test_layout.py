import pytest

from include.contract import layout
from include.contract.layout import Layer
from include.stores.objects.keys import checked_key
from include.stores.tables.shape import checked_table


def test_tables_lie_by_project_and_layer() -> None:
    assert layout.table_name("flights", Layer.RAW, "weather") == "flights/raw/weather"
    for layer in Layer:
        assert checked_table(layout.table_name("flights", layer, "departure_delay_v1"))


@pytest.mark.parametrize("run", ["manual__2013-03-01T05:00:00.123+00:00", "by hand", "a/../b", "ärger", "x" * 200])
def test_every_key_is_one_that_a_store_takes_whatever_the_run_is_called(run: str) -> None:
    keys = [
        layout.receipt_key("flights", "ingest", "2013-03/weather", "ab12", 1),
        layout.outcome_key("flights", run, "train", "2013-03", attempt=1, ending=0),
        layout.lease_key(layout.leases_prefix("flights", run, "ingest", "2013-03/weather"), 1),
        layout.renewal_key(layout.leases_prefix("flights", run, "train", "2013-03"), 1, 2),
        layout.revocation_key(layout.leases_prefix("flights", run, "train", "2013-03"), 3, 1),
        layout.mutex_key(layout.mutex_prefix("flights", "departure_delay"), 1),
        layout.mutex_released_key(layout.mutex_prefix("flights", "departure_delay"), 1),
        layout.report_key("flights", "validate", "2013-03", "ab12.0", "report.html"),
        layout.bundle_prefix("flights", "sha256:ab12") + "manifest.json",
        layout.ledger_key("flights", "departure_delay", 7),
        layout.memory_key("flights", run, "train", "2013-03", 1),
    ]
    assert [checked_key(key) for key in keys] == keys


def test_endings_and_attempts_are_listed_in_their_order() -> None:
    keys = [
        layout.outcome_key("p", "r", "train", "s", attempt=attempt, ending=ending)
        for attempt in (1, 2, 10)
        for ending in (0, 1, 10)
    ]
    assert keys == sorted(keys)
    assert [layout.ledger_key("p", "m", number) for number in (2, 10, 100_000)] == sorted(
        layout.ledger_key("p", "m", number) for number in (100_000, 10, 2)
    )


def test_what_lies_below_a_prefix_begins_with_it() -> None:
    outcome = layout.outcome_key("p", "r:1", "train", "2013-03", attempt=1, ending=0)
    assert outcome.startswith(layout.attempt_prefix("p", "r:1", "train", "2013-03", 1))
    assert outcome.startswith(layout.outcomes_prefix("p", "r:1", "train"))
    assert outcome.startswith(layout.outcomes_prefix("p", "r:1"))
    assert layout.receipt_key("p", "s", "x", "i").startswith(layout.receipts_prefix("p", "s", "x"))
    assert layout.ledger_key("p", "m", 1).startswith(layout.ledger_prefix("p", "m"))


def test_each_doing_of_lost_work_has_a_receipt_of_its_own() -> None:
    keys = {layout.receipt_key("p", "s", "x", "i", generation) for generation in range(3)}
    assert len(keys) == 3
