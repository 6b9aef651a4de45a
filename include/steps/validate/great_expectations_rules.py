"""
Runs Great Expectations on the rows of one source: all metrics in one pass, then the result of each expectation.

The library's data context, suite and validator resolve the metrics of each expectation anew and write a configuration
for each source, which takes two and a half times as long for a month of flights. Here its pandas engine computes the
metrics, and its expectations evaluate them.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from include.spec.checks import Check, MeanCheck, PairCheck

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.execution_engine import PandasExecutionEngine
    from great_expectations.expectations.expectation import Expectation
    from great_expectations.validator.validator import ValidationDependencies

_MEAN = "column.mean"
# BOOLEAN_ONLY lets an expectation skip its list of unexpected rows, which takes more than half its time.
_ONLY_WHETHER = {"result_format": "BOOLEAN_ONLY"}
# COMPLETE lists the positions of all unexpected rows; the other keys keep values of rows out of the result.
_WHICH_ROWS = {
    "result_format": "COMPLETE",
    "exclude_unexpected_values": True,
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
    "partial_unexpected_count": 0,
}


class UnfitRuleError(Exception):
    """A rule does not fit the type of its column; ``number`` is that of the check."""

    def __init__(self, number: int) -> None:
        super().__init__(f"check {number} does not fit its column")
        self.number = number


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of an expectation on its rows."""

    success: bool
    observed: float | None = None
    """The aggregate that was evaluated; None for a rule about single rows."""
    positions: tuple[int, ...] = ()
    """Positions of the rows that break a rule about single rows, if they were requested."""


@dataclass(frozen=True)
class RuleEngine:
    """The rows of one source, and the engine that computes their metrics."""

    frame: "pd.DataFrame"
    """One row per row, with the index 0, 1, …, so that index labels are positions."""

    @cached_property
    def _engine(self) -> "PandasExecutionEngine":
        great_expectations()  # first, as the import of any of its modules would show its warnings
        from great_expectations.execution_engine import PandasExecutionEngine

        engine = PandasExecutionEngine()
        engine.load_batch_data("rows", self.frame)
        return engine

    def verdicts(self, checks: Mapping[int, Check], *, which_rows: bool = False) -> dict[int, Verdict]:
        """
        The result of each check, by its number.

        :param which_rows: whether to list the rows that break a rule, which takes more than twice the time.
        :raises UnfitRuleError: if a rule does not fit the type of its column.
        """
        if not checks:
            return {}
        running = {"result_format": _WHICH_ROWS if which_rows else _ONLY_WHETHER}
        engine = self._engine
        expectations = {number: expectation_of(check) for number, check in checks.items()}
        needs = {number: one.get_validation_dependencies(engine, running) for number, one in expectations.items()}
        known = {number: self._known(number, check) for number, check in checks.items()}
        metrics = self._metrics(needs, known)
        return {number: self._verdict(number, one, metrics[number], running) for number, one in expectations.items()}

    def _known(self, number: int, check: Check) -> dict[str, Any]:
        """Metrics that are computed here, by their names."""
        if not isinstance(check, MeanCheck):
            return {}
        # Before it takes a mean, Great Expectations checks every value in a loop of Python.
        try:
            return {_MEAN: self.frame[check.column].mean()}
        except TypeError as error:
            raise UnfitRuleError(number) from error

    def _metrics(
        self, needs: Mapping[int, "ValidationDependencies"], known: Mapping[int, dict[str, Any]]
    ) -> dict[int, dict[str, Any]]:
        """The metrics of each check by their names; what checks share is computed once."""
        from great_expectations.validator.metrics_calculator import MetricsCalculator

        wanted = {
            number: {name: one for name, one in need.metric_configurations.items() if name not in known[number]}
            for number, need in needs.items()
        }
        calculator = MetricsCalculator(self._engine)
        graph = calculator.build_metric_dependency_graph([one for named in wanted.values() for one in named.values()])
        computed, _ = calculator.resolve_validation_graph(graph)
        # The calculator collects errors instead of raising them: a metric that failed is missing.
        for number, named in wanted.items():
            if any(one.id not in computed for one in named.values()):
                raise UnfitRuleError(number)
        return {
            number: known[number] | {name: computed[one.id] for name, one in named.items()}
            for number, named in wanted.items()
        }

    def _verdict(
        self, number: int, expectation: "Expectation", metrics: dict[str, Any], running: dict[str, Any]
    ) -> Verdict:
        # `_validate` is what the library documents for custom expectations to implement; its public caller,
        # `metrics_validate`, would resolve the metrics a second time.
        try:
            outcome = expectation._validate(metrics, running, self._engine)  # noqa: SLF001
        except (TypeError, ValueError) as error:
            raise UnfitRuleError(number) from error
        result = outcome.get("result", {})
        return Verdict(
            success=bool(outcome["success"]),
            observed=result.get("observed_value"),
            positions=tuple(result.get("unexpected_index_list") or ()),
        )


def great_expectations() -> ModuleType:
    """Import the library without its warnings of deprecated code, which are errors in the tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module("great_expectations")


def expectation_of(check: Check) -> "Expectation":
    """The expectation that a check's rule names."""
    great_expectations()
    from great_expectations import expectations

    words = check.rule.split("_")
    of_pair = {"column_a": "column_A", "column_b": "column_B"}
    given = check.model_dump(exclude={"rule", "level", "meaning"}, exclude_none=True)
    if isinstance(check, PairCheck):
        # Its default is to ignore a row only if both are missing: then a null would break the rule.
        given["ignore_row_if"] = "either_value_is_missing"
    values = {
        of_pair.get(name, name): list(value) if isinstance(value, tuple) else value for name, value in given.items()
    }
    expectation: Expectation = getattr(expectations, "".join(word.capitalize() for word in words))(**values)
    return expectation
