"""Gates: the conditions of the spec for a promotion, evaluated on a model's metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.contract.measures import GateResult, Interval
from include.modeling.intervals import Measured
from include.modeling.slices import Slice
from include.spec.training import SMALLER_IS_BETTER, EvaluationSpec, GateSpec, SliceGateSpec


@dataclass(frozen=True)
class Comparison:
    """The baseline or the champion, compared with the challenger."""

    name: str
    measured: Measured | None
    """None where there is no champion, or it cannot predict these rows."""
    differences: Mapping[str, Interval]
    """By metric: the challenger's value minus that of the baseline or champion."""
    absent: str = ""
    """Why there is no comparison; empty if there is one."""
    passes_absent: bool = False
    """Whether the gate passes without a comparison: there is no champion yet, or it is the challenger itself."""


def evaluate_gates(
    spec: EvaluationSpec, measured: Measured, comparisons: Mapping[str, Comparison], slices: Sequence[Slice]
) -> list[GateResult]:
    """
    Evaluate every gate of the spec.

    :param measured: the challenger's metrics on the holdout.
    :param comparisons: ``baseline`` and ``champion``.
    :param slices: of all columns; those below a gate's ``rows_at_least`` are left out of it.
    :return: the spec's gates in their order, then its slice gates.
    """
    results = [_evaluate(gate, measured, comparisons) for gate in spec.gates]
    return results + [_evaluate_slices(gate, slices) for gate in spec.slice_gates]


def _evaluate(gate: GateSpec, measured: Measured, comparisons: Mapping[str, Comparison]) -> GateResult:
    if gate.better_than is not None:
        return _compare(gate, measured, comparisons[gate.better_than])
    interval = measured[gate.metric]
    words = f"{gate.metric} {_limit_words(gate)}"
    # Gates read the value, not the ends of its interval: see ADR 12.
    return GateResult(
        gate=words, metric=gate.metric, found=f"{gate.metric} is {interval}", passed=_within(interval.value, gate)
    )


def _compare(gate: GateSpec, measured: Measured, contender: Comparison) -> GateResult:
    words = f"{gate.metric} better than {contender.name} by {gate.by:g}"
    if contender.measured is None:
        return GateResult(gate=words, metric=gate.metric, found=contender.absent, passed=contender.passes_absent)
    difference = contender.differences[gate.metric]
    values = f"{gate.metric} is {measured[gate.metric]}, {contender.name} has {contender.measured[gate.metric]}"
    values += f"; difference {difference}"
    if difference.value is None:
        return GateResult(gate=words, metric=gate.metric, found=values, passed=False)
    gain = -difference.value if gate.metric in SMALLER_IS_BETTER else difference.value
    # Better by nothing is not better: the same predictions must not pass for an improvement.
    passed = gain > 0 if gate.by == 0 else gain >= gate.by
    return GateResult(gate=words, metric=gate.metric, found=values, passed=passed)


def _evaluate_slices(gate: SliceGateSpec, slices: Sequence[Slice]) -> GateResult:
    words = f"{gate.metric} {_limit_words(gate)} in every slice of {gate.rows_at_least} rows or more"
    counted = [one for one in slices if one.rows >= gate.rows_at_least]
    defined = [one for one in counted if one.measured[gate.metric].value is not None]
    failed = [one for one in defined if not _within(one.measured[gate.metric].value, gate)]
    if failed:
        failures = "; ".join(
            f"{one.column} {one.value}: {one.measured[gate.metric]} in {one.rows} rows" for one in failed[:5]
        )
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""  # noqa: PLR2004 (as many as are failures)
        return GateResult(gate=words, metric=gate.metric, found=f"{failures}{more}", passed=False)
    # ROC AUC of a slice with one class is not defined: nothing is wrong with the model there, so it does not fail.
    left = f"; {len(counted) - len(defined)} have one class only" if len(defined) < len(counted) else ""
    evaluated = f"{len(defined)} of {len(slices)} slices evaluated{left}"
    return GateResult(gate=words, metric=gate.metric, found=evaluated, passed=True)


def _within(value: float | None, gate: GateSpec | SliceGateSpec) -> bool:
    if value is None:
        return False
    return (gate.at_least is None or value >= gate.at_least) and (gate.at_most is None or value <= gate.at_most)


def _limit_words(gate: GateSpec | SliceGateSpec) -> str:
    words = [f"at least {gate.at_least:g}"] if gate.at_least is not None else []
    words += [f"at most {gate.at_most:g}"] if gate.at_most is not None else []
    return " and ".join(words)
