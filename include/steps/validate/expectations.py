"""
The checks of a source, carried out by Great Expectations: which rules hold, and which rows break them.

Of its results only positions of bad rows and counts are read, never values.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from include.errors import ConfigurationError
from include.spec.checks import ROW_RULES, Check, MeanCheck, NotNullCheck, PairCheck
from include.steps.validate.findings import Finding, Kind
from include.steps.validate.great_expectations_rules import Bench, CannotBeCarriedOutError, Verdict

if TYPE_CHECKING:
    import pandas as pd

    from include.steps.validate.findings import Mask

_MEAN_OF_AT_LEAST = 20
"""A mean of fewer values would reveal too much of each of them."""


def check_findings(source: str, frame: "pd.DataFrame", checks: Sequence[Check]) -> list[Finding]:
    """
    The results of one source's checks, in the order of the spec.

    :param source: its name.
    :param frame: one row per row, numbered from 0; the columns that the checks use.
    :raises ConfigurationError: if a check cannot be carried out on its column.
    """
    try:
        verdicts = _verdicts(Bench(frame), dict(enumerate(checks)))
    except CannotBeCarriedOutError as error:
        message = f"sources.{source}.checks[{error.number}]: {_rule(checks[error.number])} cannot be carried out. "
        raise ConfigurationError(
            message + "Look whether the rule fits the column's type, and at its bounds."
        ) from error
    present = {name: int(frame[name].count()) for name in frame.columns}
    return [_finding(check, verdicts[number], frame, present) for number, check in enumerate(checks)]


def _verdicts(bench: Bench, checks: Mapping[int, Check]) -> dict[int, Verdict]:
    """All verdicts; whether all rows hold takes less than half the time of which ones do not, and mostly all do."""
    verdicts = bench.verdicts(checks)
    broken = {
        number: check for number, check in checks.items() if check.rule in ROW_RULES and not verdicts[number].success
    }
    return verdicts | bench.verdicts(broken, which_rows=True)


def columns_of(checks: Sequence[Check]) -> list[str]:
    """The columns that checks look at, each once."""
    return list(dict.fromkeys(column for check in checks for column in check.columns_used()))


def _finding(check: Check, verdict: Verdict, frame: "pd.DataFrame", present: Mapping[str, int]) -> Finding:
    """
    The finding of one check.

    :param present: how many values of each column are there.
    """
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
    """The observed number where it does not reveal a single value."""
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
