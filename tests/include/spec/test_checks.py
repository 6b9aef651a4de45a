from typing import get_args

import pytest
from pydantic import TypeAdapter

from include.errors import ConfigurationError
from include.spec.checks import ROW_RULES, BetweenCheck, Check, PairCheck
from tests.support.spec_kit import parsed

RULES: dict[str, dict[str, object]] = {
    "expect_column_values_to_be_between": {"column": "weight", "min_value": 0},
    "expect_column_values_to_be_in_set": {"column": "shelf", "value_set": ["a", "b"]},
    "expect_column_values_to_match_regex": {"column": "shelf", "regex": "^[a-z]$"},
    "expect_column_value_lengths_to_be_between": {"column": "shelf", "max_value": 3},
    "expect_column_values_to_not_be_null": {"column": "shelf"},
    "expect_column_pair_values_a_to_be_greater_than_b": {"column_a": "weight", "column_b": "late"},
    "expect_column_mean_to_be_between": {"column": "weight", "max_value": 3},
    "expect_column_unique_value_count_to_be_between": {"column": "shelf", "min_value": 2},
    "expect_column_proportion_of_non_null_values_to_be_between": {"column": "late", "min_value": 0.5},
}


def test_every_rule_is_read() -> None:
    kinds = get_args(get_args(Check)[0])
    assert {get_args(kind.model_fields["rule"].annotation)[0] for kind in kinds} == RULES.keys()
    spec = parsed({"sources.parcels.checks": [{"rule": rule, **fields} for rule, fields in RULES.items()]})
    assert [check.rule for check in spec.sources["parcels"].checks] == list(RULES)
    assert {check.level for check in spec.sources["parcels"].checks} == {"error"}


def test_rules_of_rows_are_those_that_check_each_row_alone() -> None:
    assert {rule for rule in RULES if "values" in rule or "lengths" in rule} - ROW_RULES == {
        "expect_column_proportion_of_non_null_values_to_be_between"
    }
    assert RULES.keys() >= ROW_RULES


def test_a_check_names_the_columns_that_it_reads() -> None:
    adapter: TypeAdapter[Check] = TypeAdapter(Check)
    one = adapter.validate_python({"rule": "expect_column_values_to_not_be_null", "column": "a"})
    two = PairCheck(rule="expect_column_pair_values_a_to_be_greater_than_b", column_a="a", column_b="b")
    assert one.columns_used() == ("a",)
    assert two.columns_used() == ("a", "b")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({"rule": "expect_column_values_to_be_in_set", "column": "shelf", "value_set": []}, "value_set"),
        ({"rule": "expect_column_values_to_match_regex", "column": "shelf"}, "regex: is missing"),
        ({"rule": "expect_column_values_to_not_be_null", "column": "shelf", "level": "eror"}, "level: is 'eror'"),
        ({"column": "shelf"}, "checks"),
    ],
)
def test_a_check_that_is_none_is_refused(check: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parsed({"sources.parcels.checks": [check]})


def test_a_check_is_frozen() -> None:
    check = BetweenCheck(rule="expect_column_values_to_be_between", column="a", min_value=0)
    with pytest.raises(ValueError, match="frozen"):
        check.column = "b"  # type: ignore[misc]  # that is what is refused
