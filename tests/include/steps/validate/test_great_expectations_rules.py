from typing import Any

import pandas as pd
import pytest
from pydantic import TypeAdapter

from include.spec.checks import ROW_RULES, Check
from include.steps.validate.great_expectations_rules import (
    RuleEngine,
    UnfitRuleError,
    expectation_of,
    great_expectations,
)

FRAME = pd.DataFrame(
    {
        "number": [1.0, 5.0, None, 50.0, -1.0],
        "other": [1.0, 4.0, 3.0, None, 3.0],
        "text": ["EWR", "jfk", None, "LGA", "EWRX"],
        "nothing": [None] * 5,
    }
)
CHECKS: list[Check] = [
    TypeAdapter(Check).validate_python(one)
    for one in (
        {"rule": "expect_column_values_to_be_between", "column": "number", "min_value": 0, "max_value": 10},
        {"rule": "expect_column_values_to_be_between", "column": "number", "max_value": 50},
        {"rule": "expect_column_values_to_be_in_set", "column": "text", "value_set": ["EWR", "LGA"]},
        {"rule": "expect_column_values_to_match_regex", "column": "text", "regex": "^[A-Z]{3}$"},
        {"rule": "expect_column_value_lengths_to_be_between", "column": "text", "max_value": 3},
        {"rule": "expect_column_values_to_not_be_null", "column": "text"},
        {"rule": "expect_column_values_to_not_be_null", "column": "nothing"},
        {"rule": "expect_column_values_to_be_in_set", "column": "nothing", "value_set": ["x"]},
        {"rule": "expect_column_pair_values_a_to_be_greater_than_b", "column_a": "number", "column_b": "other"},
        {"rule": "expect_column_mean_to_be_between", "column": "number", "min_value": 0, "max_value": 10},
        {"rule": "expect_column_mean_to_be_between", "column": "nothing", "min_value": 0},
        {"rule": "expect_column_unique_value_count_to_be_between", "column": "text", "min_value": 1, "max_value": 4},
        {"rule": "expect_column_proportion_of_non_null_values_to_be_between", "column": "text", "min_value": 0.9},
    )
]


def by_the_librarys_validator(check: Check) -> tuple[bool, float | None, list[int]]:
    """What Great Expectations says by way of a data context, a batch and a validator."""
    context = great_expectations().get_context(mode="ephemeral")
    whole = context.data_sources.add_pandas("memory").add_dataframe_asset("x").add_batch_definition_whole_dataframe("y")
    batch = whole.get_batch(batch_parameters={"dataframe": FRAME.copy()})
    result = batch.validate(expectation_of(check), result_format="COMPLETE")
    return result.success, result.result.get("observed_value"), result.result.get("unexpected_index_list", [])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.rule}-{'-'.join(check.columns_used())}")
def test_the_same_as_by_the_librarys_validator(check: Check) -> None:
    verdict = RuleEngine(FRAME).verdicts({7: check}, which_rows=True)[7]
    success, observed, positions = by_the_librarys_validator(check)
    assert (verdict.success, list(verdict.positions)) == (success, positions if check.rule in ROW_RULES else [])
    assert verdict.observed == pytest.approx(observed, nan_ok=True)


def test_all_at_once_give_the_same_as_one_by_one() -> None:
    engine = RuleEngine(FRAME)
    together = engine.verdicts(dict(enumerate(CHECKS)))
    alone = {number: RuleEngine(FRAME).verdicts({number: check})[number] for number, check in enumerate(CHECKS)}
    assert together == alone
    assert [verdict.positions for verdict in together.values()] == [()] * len(CHECKS)
    assert not all(verdict.success for verdict in together.values())


@pytest.mark.parametrize(
    "values",
    [
        {"rule": "expect_column_mean_to_be_between", "column": "text", "min_value": 0},
        {"rule": "expect_column_values_to_be_between", "column": "text", "min_value": 0},
        {"rule": "expect_column_mean_to_be_between", "column": "moment", "min_value": 0},
    ],
    ids=lambda values: f"{values['rule']}-{values['column']}",
)
def test_a_rule_that_does_not_fit_names_its_number(values: dict[str, Any]) -> None:
    frame = FRAME.assign(moment=pd.Timestamp("2013-01-01", tz="UTC"))
    checks = {0: CHECKS[0], 3: TypeAdapter(Check).validate_python(values)}
    with pytest.raises(UnfitRuleError, match="check 3 does not fit its column") as caught:
        RuleEngine(frame).verdicts(checks)
    assert caught.value.number == 3


def test_no_checks_need_nothing() -> None:
    assert RuleEngine(FRAME).verdicts({}) == {}
