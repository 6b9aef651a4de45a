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
from include.spec.checks import ROW_RULES, Check, MeanCheck, PairCheck
from include.steps.validation.findings import Finding

if TYPE_CHECKING:
    import pandas as pd
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
        gx = great_expectations()
        whole = self._memory.add_dataframe_asset(source).add_batch_definition_whole_dataframe("all")
        batch = whole.get_batch(batch_parameters={"dataframe": frame})
        expectations = [_expectation(check, number) for number, check in enumerate(checks)]
        result = batch.validate(
            gx.ExpectationSuite(name=source, expectations=expectations), result_format=_RESULT_FORMAT
        )
        found: dict[int, Finding] = {}
        for one in result.results:
            number: int = one.expectation_config.meta[_NUMBER]
            if _raised(one.exception_info):
                message = f"sources.{source}.checks[{number}]: {_rule(checks[number])} cannot be carried out. "
                raise ConfigurationError(message + "Look whether the rule fits the column's type, and at its bounds.")
            found[number] = _finding(checks[number], bool(one.success), one.result, len(frame))
        return [found[number] for number in range(len(checks))]


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


def _finding(check: Check, success: bool, result: Mapping[str, Any], row_count: int) -> Finding:  # noqa: FBT001 (as Great Expectations gives it)
    if check.rule in ROW_RULES:
        positions = result["unexpected_index_list"]
        return Finding(
            rule=_rule(check),
            kind="rows",
            level=check.level,
            checked=row_count - int(result.get("missing_count") or 0),
            failed=len(positions),
            allowed=_allowed(check),
            meaning=check.meaning,
            bad=_mask(positions, row_count) if positions else None,
        )
    return Finding(
        rule=_rule(check),
        kind="partition",
        level=check.level,
        checked=row_count,
        failed=int(not success),
        observed=_shown(check, result.get("observed_value"), row_count),
        allowed=_allowed(check),
        meaning=check.meaning,
    )


def _shown(check: Check, observed: float | None, row_count: int) -> float | None:
    """The observed number where it says nothing of a single value."""
    if observed is None or (isinstance(check, MeanCheck) and row_count < _MEAN_OF_AT_LEAST):
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
