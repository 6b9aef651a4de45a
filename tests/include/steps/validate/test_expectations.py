import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from include.errors import ConfigurationError
from include.spec.checks import Check
from include.steps.validate.expectations import check_findings, columns_of
from include.steps.validate.findings import Finding

FRAME = pd.DataFrame(
    {
        "number": [1.0, 5.0, None, 50.0, -1.0] * 10,
        "other": [1.0, 4.0, 3.0, None, 3.0] * 10,
        "text": ["EWR", "jfk", None, "LGA", "EWRX"] * 10,
    }
)


def check(rule: str, **values: Any) -> Check:
    made: Check = TypeAdapter(Check).validate_python({"rule": rule} | values)
    return made


def findings(*checks: Check) -> list[Finding]:
    return check_findings("x", FRAME, checks)


ROWS = [
    (check("expect_column_values_to_be_between", column="number", min_value=0, max_value=10), {3, 4}),
    (check("expect_column_values_to_be_between", column="number", min_value=2), {0, 4}),
    (check("expect_column_values_to_be_in_set", column="text", value_set=["EWR", "LGA"]), {1, 4}),
    (check("expect_column_values_to_match_regex", column="text", regex="^[A-Z]{3}$"), {1, 4}),
    (check("expect_column_value_lengths_to_be_between", column="text", max_value=3), {4}),
    (check("expect_column_values_to_not_be_null", column="text"), {2}),
    (check("expect_column_pair_values_a_to_be_greater_than_b", column_a="number", column_b="other"), {4}),
    (
        check("expect_column_pair_values_a_to_be_greater_than_b", column_a="number", column_b="other", or_equal=False),
        {0, 4},
    ),
]


@pytest.mark.parametrize(("rule", "bad"), ROWS, ids=lambda value: getattr(value, "rule", None))
def test_which_rows_are_bad(rule: Check, bad: set[int]) -> None:
    (finding,) = findings(rule)
    assert finding.kind == "rows"
    assert finding.failed == 10 * len(bad)
    assert finding.bad is not None
    assert set(np.flatnonzero(finding.bad) % 5) == bad


PARTITION = [
    (check("expect_column_mean_to_be_between", column="number", min_value=0, max_value=10), False, 13.75),
    (check("expect_column_unique_value_count_to_be_between", column="text", min_value=1, max_value=4), True, 4),
    (check("expect_column_proportion_of_non_null_values_to_be_between", column="text", min_value=0.9), False, 0.8),
]


@pytest.mark.parametrize(("rule", "passed", "observed"), PARTITION, ids=lambda value: getattr(value, "rule", None))
def test_rules_of_the_partition(rule: Check, passed: bool, observed: float) -> None:  # noqa: FBT001 (a test's case)
    (finding,) = findings(rule)
    assert (finding.kind, finding.passed, finding.observed) == ("partition", passed, observed)
    assert finding.bad is None


def test_all_at_once_in_the_order_of_the_spec() -> None:
    checks = [rule for rule, _ in ROWS] + [rule for rule, _, _ in PARTITION]
    rules = [finding.rule for finding in findings(*checks)]
    assert rules == [f"{rule.rule}({', '.join(rule.columns_used())})" for rule in checks]


def test_the_same_rule_twice_on_one_column() -> None:
    allowed = [finding.allowed for finding in findings(ROWS[0][0], ROWS[1][0], ROWS[0][0])]
    assert allowed == ["min_value 0.0, max_value 10.0", "min_value 2.0", "min_value 0.0, max_value 10.0"]


def test_sources_do_not_get_into_one_another() -> None:
    rule = ROWS[0][0]
    (one,) = check_findings("one", FRAME, [rule])
    (other,) = check_findings("other", FRAME.assign(number=3.0), [rule])
    assert (one.failed, other.failed) == (20, 0)


def test_a_mean_of_few_values_is_not_shown() -> None:
    (finding,) = check_findings("x", FRAME.head(5), [PARTITION[0][0]])
    assert (finding.passed, finding.observed) == (False, None)


def test_a_mean_of_nothing() -> None:
    (finding,) = check_findings("x", FRAME.assign(number=float("nan")), [PARTITION[0][0]])
    assert (finding.passed, finding.observed) == (False, None)


def test_a_rule_that_does_not_fit_its_column() -> None:
    rule = check("expect_column_mean_to_be_between", column="text", min_value=0, max_value=1)
    with pytest.raises(ConfigurationError, match=r"sources\.x\.checks\[0\]: .*\(text\) does not fit its column"):
        findings(rule)


def test_leaves_no_file_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    findings(ROWS[0][0])
    assert list(tmp_path.iterdir()) == []


def test_no_checks() -> None:
    assert findings() == []
    assert columns_of([rule for rule, _ in ROWS]) == ["number", "text", "other"]
