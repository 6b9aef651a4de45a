"""
Carries out the checks of a source with Great Expectations, in a context that lives in memory and is gone afterwards.

Great Expectations is asked for positions of bad rows and for counts, never for their values.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from include.errors import ConfigurationError
from include.spec.checks import ROW_RULES, Check, MeanCheck, NotNullCheck, PairCheck
from include.steps.validation.findings import Finding, Kind

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.core.batch import Batch
    from great_expectations.datasource.fluent import PandasDatasource
    from great_expectations.expectations.expectation import Expectation

    from include.steps.validation.findings import Mask

_MEAN_OF_AT_LEAST = 20
"""A mean of fewer values says too much of each of them to be written down."""
_NUMBER = "number"
_RESULT_FORMAT = {
    "result_format": "COMPLETE",
    "exclude_unexpected_values": True,
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
    "partial_unexpected_count": 0,
}


def great_expectations() -> ModuleType:
    """The library, imported without the warnings that it has for its own developers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module("great_expectations")


@dataclass(frozen=True)
class Checker:
    """Great Expectations for one call of the step; each source is an asset of its own."""

    @cached_property
    def _memory(self) -> "PandasDatasource":
        gx = great_expectations()
        from great_expectations.data_context.types import base

        # The default of a context in memory makes a folder for pages under /tmp.
        config = base.DataContextConfig(
            store_backend_defaults=base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            analytics_enabled=False,
            progress_bars=base.ProgressBarsConfig(globally=False),
        )
        context = gx.get_context(mode="ephemeral", project_config=config)
        return context.data_sources.add_pandas("memory")

    def findings(self, source: str, frame: "pd.DataFrame", checks: Sequence[Check]) -> list[Finding]:
        """
        What the checks of one source find, in the order of the spec.

        :param source: its name.
        :param frame: one row per row, numbered from 0; the columns that the checks use.
        :raises ConfigurationError: if a check cannot be carried out on its column.
        """
        if not checks:
            return []
        great_expectations()
        whole = self._memory.add_dataframe_asset(source).add_batch_definition_whole_dataframe("all")
        batch = whole.get_batch(batch_parameters={"dataframe": frame})
        of_rows = {number: check for number, check in enumerate(checks) if check.rule in ROW_RULES}
        of_partition = {number: check for number, check in enumerate(checks) if number not in of_rows}
        # Whether all rows hold takes less than half the time of which ones do not, and mostly all do.
        hold = {number for number, one in _results(batch, of_rows, "BOOLEAN_ONLY").items() if one.success}
        broken = {number: check for number, check in of_rows.items() if number not in hold}
        results = _results(batch, broken | of_partition, _RESULT_FORMAT)
        for number, one in results.items():
            if _raised(one.exception_info):
                message = f"sources.{source}.checks[{number}]: {_rule(checks[number])} cannot be carried out. "
                raise ConfigurationError(message + "Look whether the rule fits the column's type, and at its bounds.")
        return [_finding(check, results.get(number), frame) for number, check in enumerate(checks)]


def _results(
    batch: "Batch", checks: Mapping[int, Check], result_format: str | dict[str, Any]
) -> dict[int, "ExpectationValidationResult"]:
    """What Great Expectations says of each check, by its number."""
    if not checks:
        return {}
    expectations = [_expectation(check, number) for number, check in checks.items()]
    suite = great_expectations().ExpectationSuite(name="checks", expectations=expectations)
    results = batch.validate(suite, result_format=result_format).results
    return {one.expectation_config.meta[_NUMBER]: one for one in results}


def columns_of(checks: Sequence[Check]) -> list[str]:
    """The columns that checks look at, each once."""
    return list(dict.fromkeys(column for check in checks for column in check.columns_used()))


def _expectation(check: Check, number: int) -> "Expectation":
    from great_expectations import expectations

    words = check.rule.split("_")
    of_pair = {"column_a": "column_A", "column_b": "column_B"}
    given = check.model_dump(exclude={"rule", "level", "meaning"}, exclude_none=True)
    if isinstance(check, PairCheck):
        given["ignore_row_if"] = "either_value_is_missing"
    values = {
        of_pair.get(name, name): list(value) if isinstance(value, tuple) else value for name, value in given.items()
    }
    made: Expectation = getattr(expectations, "".join(word.capitalize() for word in words))(
        **values, meta={_NUMBER: number}
    )
    return made


def _raised(info: Mapping[str, Any]) -> bool:
    """Whether computing a rule raised; it stands in the outer mapping, or in one for each metric."""
    inner = [value for value in info.values() if isinstance(value, Mapping)]
    return bool(info.get("raised_exception")) or any(one.get("raised_exception") for one in inner)


def _finding(check: Check, said: "ExpectationValidationResult | None", frame: "pd.DataFrame") -> Finding:
    """
    The finding of one check.

    :param said: what Great Expectations says; None where all rows hold.
    """
    kind: Kind = "rows" if check.rule in ROW_RULES else "partition"
    present = int(frame[list(check.columns_used())].notna().all(axis=1).sum())
    checked = len(frame) if isinstance(check, NotNullCheck) or kind == "partition" else present
    positions = said.result["unexpected_index_list"] if said is not None and kind == "rows" else []
    observed = said.result.get("observed_value") if said is not None else None
    return Finding(
        rule=_rule(check),
        kind=kind,
        level=check.level,
        checked=checked,
        failed=len(positions) if kind == "rows" else int(said is None or not said.success),
        observed=_shown(check, observed, present),
        allowed=_allowed(check),
        meaning=check.meaning,
        bad=_mask(positions, len(frame)) if positions else None,
    )


def _shown(check: Check, observed: float | None, value_count: int) -> float | None:
    """The observed number where it says nothing of a single value."""
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
