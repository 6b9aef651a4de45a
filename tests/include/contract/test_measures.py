import json

import pytest

from include.contract.measures import CalibrationBin, GateResult, Interval


@pytest.mark.parametrize(
    ("value", "low", "high", "told"),
    [
        (0.74231, 0.735, 0.7496, "0.7423 [0.7350, 0.7496]"),
        (0.5, None, None, "0.5000"),
        (None, None, None, "not defined"),
    ],
)
def test_an_interval_tells_what_is_defined(
    value: float | None, low: float | None, high: float | None, told: str
) -> None:
    assert str(Interval(value=value, low=low, high=high)) == told


def test_an_interval_is_rounded_where_it_is_written() -> None:
    exact = Interval(value=0.12345678, low=None, high=0.98765432)
    assert exact.rounded() == Interval(value=0.123457, low=None, high=0.987654)


def test_a_gate_says_why_it_failed_in_a_sentence() -> None:
    gate = GateResult(gate="roc_auc at least 0.7", metric="roc_auc", found="roc_auc is 0.6000", passed=False)
    assert gate.reason == "Gate 'roc_auc at least 0.7' failed: roc_auc is 0.6000."


def test_a_bin_is_written_from_one_probability_to_another() -> None:
    one = CalibrationBin(low=0.1, high=0.2, rows=9, predicted=0.15, observed=0.11)
    written = {"from": 0.1, "to": 0.2, "rows": 9, "predicted": 0.15, "observed": 0.11}
    assert json.loads(one.model_dump_json()) == written
    assert CalibrationBin.model_validate(written) == one
