"""
Great Expectations on the rows of one source: its metrics, all computed at once, and the result of each expectation.

The library's data context, suite and validator work out again and again what every expectation needs, and write their
configuration down for every source: for a month of flights that takes two and a half times as long. Here its pandas
engine computes the metrics, and its expectations evaluate them.
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
_ONLY_WHETHER = {"result_format": "BOOLEAN_ONLY"}
_WHICH_ROWS = {
    "result_format": "COMPLETE",
    "exclude_unexpected_values": True,
    "include_unexpected_rows": False,
    "return_unexpected_index_query": False,
    "partial_unexpected_count": 0,
}


class CannotBeCarriedOutError(Exception):
    """A rule does not fit its column; ``number`` is that of the check."""

    def __init__(self, number: int) -> None:
        super().__init__(f"check {number} cannot be carried out")
        self.number = number


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of an expectation on its rows."""

    success: bool
    observed: float | None = None
    """The aggregate that was evaluated; None for a rule of rows."""
    positions: tuple[int, ...] = ()
    """Positions of the rows that break a rule of rows, where they were requested."""


@dataclass(frozen=True)
class Bench:
    """The rows of one source, and the engine that computes metrics of them."""

    frame: "pd.DataFrame"
    """One row per row, numbered from 0."""

    @cached_property
    def _engine(self) -> "PandasExecutionEngine":
        great_expectations()
        from great_expectations.execution_engine import PandasExecutionEngine

        engine = PandasExecutionEngine()
        engine.load_batch_data("rows", self.frame)
        return engine

    def verdicts(self, checks: Mapping[int, Check], *, which_rows: bool = False) -> dict[int, Verdict]:
        """
        The result of each check, by its number.

        :param which_rows: whether to list the rows that break a rule; that takes more than twice the time.
        :raises CannotBeCarriedOutError: if a rule does not fit its column.
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
        """Metrics computed here: Great Expectations walks over every value in Python before it takes a mean."""
        if not isinstance(check, MeanCheck):
            return {}
        try:
            return {_MEAN: self.frame[check.column].mean()}
        except TypeError as error:
            raise CannotBeCarriedOutError(number) from error

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
        for number, named in wanted.items():
            if any(one.id not in computed for one in named.values()):
                raise CannotBeCarriedOutError(number)
        return {
            number: known[number] | {name: computed[one.id] for name, one in named.items()}
            for number, named in wanted.items()
        }

    def _verdict(
        self, number: int, expectation: "Expectation", metrics: dict[str, Any], running: dict[str, Any]
    ) -> Verdict:
        # The evaluation alone, as one's own expectations define it: `metrics_validate` works out the needs once more.
        try:
            outcome = expectation._validate(metrics, running, self._engine)  # noqa: SLF001
        except (TypeError, ValueError) as error:
            raise CannotBeCarriedOutError(number) from error
        result = outcome.get("result", {})
        return Verdict(
            success=bool(outcome["success"]),
            observed=result.get("observed_value"),
            positions=tuple(result.get("unexpected_index_list") or ()),
        )


def great_expectations() -> ModuleType:
    """The library, imported without the warnings that it has for its own developers."""
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
        given["ignore_row_if"] = "either_value_is_missing"
    values = {
        of_pair.get(name, name): list(value) if isinstance(value, tuple) else value for name, value in given.items()
    }
    made: Expectation = getattr(expectations, "".join(word.capitalize() for word in words))(**values)
    return made
