"""
Runs the checks of a source with Great Expectations: which rules hold, and which rows break them.

Of the results only positions of bad rows and counts are read, never values.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.spec.checks import ROW_RULES, Check, MeanCheck, NotNullCheck, PairCheck
from include.steps.validate.findings import Finding, Kind
from include.steps.validate.great_expectations_rules import RuleEngine, UnfitRuleError, Verdict

if TYPE_CHECKING:
    import pandas as pd

    from include.steps.validate.findings import Mask

_MEAN_OF_AT_LEAST = 20
"""A mean of fewer values is not shown: it would reveal too much of each of them."""


def check_findings(source: str, frame: "pd.DataFrame", checks: Sequence[Check]) -> list[Finding]:
    """
    The results of one source's checks, in the order of the spec.

    :param source: its name, for messages.
    :param frame: one row per row, with the index 0, 1, …; the columns that the checks use.
    :raises ConfigurationError: if a check does not fit the type of its column.
    """
    try:
        verdicts = _verdicts(RuleEngine(frame), dict(enumerate(checks)))
    except UnfitRuleError as error:
        message = f"sources.{source}.checks[{error.number}]: {_rule(checks[error.number])} does not fit its column. "
        raise ConfigurationError(
            message + "Check that the rule fits the type of its column, and that its bounds do."
        ) from error
    present = {name: int(frame[name].count()) for name in frame.columns}
    return [_finding(check, verdicts[number], frame, present) for number, check in enumerate(checks)]


def _verdicts(engine: RuleEngine, checks: Mapping[int, Check]) -> dict[int, Verdict]:
    """The verdict of each check, with the positions of the rows that break it."""
    # First only whether all rows pass: that takes less than half the time of a list of those that do not, and in most
    # partitions most rules pass.
    verdicts = engine.verdicts(checks)
    broken = {
        number: check for number, check in checks.items() if check.rule in ROW_RULES and not verdicts[number].success
    }
    return verdicts | engine.verdicts(broken, which_rows=True)


def columns_of(checks: Sequence[Check]) -> list[str]:
    """The columns that the checks use, each once."""
    return list(dict.fromkeys(column for check in checks for column in check.columns_used()))


def _finding(check: Check, verdict: Verdict, frame: "pd.DataFrame", present: Mapping[str, int]) -> Finding:
    """
    The finding of one check.

    :param present: how many values of each column are not null.
    """
    # Great Expectations skips nulls: the rows that a rule checked are those with a value.
    kind: Kind = "rows" if check.rule in ROW_RULES else "partition"
    values = _present_pairs(frame, check) if isinstance(check, PairCheck) else present[check.column]
    positions = verdict.positions
    return Finding(
        rule=_rule(check),
        kind=kind,
        level=check.level,
        checked=len(frame) if isinstance(check, NotNullCheck) or kind == "partition" else values,
        failed=len(positions) if kind == "rows" else int(not verdict.success),
        observed=_shown(check, verdict.observed, values),
        allowed=_allowed(check),
        meaning=check.meaning,
        bad=_mask(positions, len(frame)) if positions else None,
    )


def _present_pairs(frame: "pd.DataFrame", check: PairCheck) -> int:
    return int((frame[check.column_a].notna() & frame[check.column_b].notna()).sum())


def _shown(check: Check, observed: float | None, value_count: int) -> float | None:
    """The observed number; None if it would reveal single values, or is not finite, which JSON cannot hold."""
    if observed is None or (isinstance(check, MeanCheck) and value_count < _MEAN_OF_AT_LEAST):
        return None
    return float(observed) if math.isfinite(observed) else None


def _mask(positions: Sequence[int], row_count: int) -> "Mask":
    import numpy as np

    bad = np.zeros(row_count, dtype=bool)
    bad[np.asarray(positions, dtype=int)] = True
    return bad


def _rule(check: Check) -> str:
    return f"{check.rule}({', '.join(check.columns_used())})"


def _allowed(check: Check) -> str:
    if isinstance(check, PairCheck):
        return f"{check.column_a} {'>=' if check.or_equal else '>'} {check.column_b}"
    given = check.model_dump(exclude={"rule", "level", "meaning", "column"}, exclude_none=True)
    return ", ".join(f"{name} {value}" for name, value in given.items())
