"""Gates: the conditions of the spec for a promotion, each with what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.contract.receipt import Json
from include.modeling.intervals import Interval, Measured
from include.modeling.slices import Slice
from include.spec.training import SMALLER_IS_BETTER, EvaluationSpec, GateSpec, SliceGateSpec


@dataclass(frozen=True)
class GateResult:
    """One gate, and whether the model passes it."""

    gate: str
    """The condition in words."""
    metric: str
    found: str
    """What was found, in words."""
    passed: bool

    def described(self) -> Json:
        """As JSON."""
        return {"gate": self.gate, "metric": self.metric, "found": self.found, "passed": self.passed}

    @property
    def reason(self) -> str:
        """Why the gate failed, in a sentence."""
        return f"Gate '{self.gate}' failed: {self.found}."


@dataclass(frozen=True)
class Opposition:
    """Somebody to compare with: the baseline or the champion."""

    name: str
    measured: Measured | None
    """None where there is nobody, or nobody who can be measured on these rows."""
    differences: Mapping[str, Interval]
    """The model's metric less theirs."""
    absent: str = ""
    """Why there is nobody to compare with."""
    passes_absent: bool = False
    """Whether the gate passes then: there is no champion yet, or the champion is this very model."""


def judge_gates(
    spec: EvaluationSpec, measured: Measured, oppositions: Mapping[str, Opposition], slices: Sequence[Slice]
) -> list[GateResult]:
    """
    Hold a model against every gate of the spec.

    :param oppositions: ``baseline`` and ``champion``.
    """
    results = [_judge(gate, measured, oppositions) for gate in spec.gates]
    return results + [_judge_slices(gate, slices) for gate in spec.slice_gates]


def _judge(gate: GateSpec, measured: Measured, oppositions: Mapping[str, Opposition]) -> GateResult:
    if gate.better_than is not None:
        return _compare(gate, measured, oppositions[gate.better_than])
    found = measured[gate.metric]
    words = f"{gate.metric} {_limit_words(gate)}"
    return GateResult(words, gate.metric, f"{gate.metric} is {found}", passed=_within(found.value, gate))


def _compare(gate: GateSpec, measured: Measured, other: Opposition) -> GateResult:
    words = f"{gate.metric} better than {other.name} by {gate.by:g}"
    if other.measured is None:
        return GateResult(words, gate.metric, other.absent, passed=other.passes_absent)
    difference = other.differences[gate.metric]
    found = f"{gate.metric} is {measured[gate.metric]}, {other.name} has {other.measured[gate.metric]}"
    found += f"; difference {difference}"
    if difference.value is None:
        return GateResult(words, gate.metric, found, passed=False)
    gain = -difference.value if gate.metric in SMALLER_IS_BETTER else difference.value
    # Better by nothing is not better: the same predictions must not pass for an improvement.
    passed = gain > 0 if gate.by == 0 else gain >= gate.by
    return GateResult(words, gate.metric, found, passed=passed)


def _judge_slices(gate: SliceGateSpec, slices: Sequence[Slice]) -> GateResult:
    words = f"{gate.metric} {_limit_words(gate)} in every slice of {gate.rows_at_least} rows or more"
    judged = [one for one in slices if one.rows >= gate.rows_at_least]
    defined = [one for one in judged if one.measured[gate.metric].value is not None]
    failed = [one for one in defined if not _within(one.measured[gate.metric].value, gate)]
    if failed:
        told = "; ".join(
            f"{one.column} {one.value}: {one.measured[gate.metric]} in {one.rows} rows" for one in failed[:5]
        )
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""  # noqa: PLR2004 (as many as are told)
        return GateResult(words, gate.metric, f"{told}{more}", passed=False)
    left = f"; {len(judged) - len(defined)} have one class only" if len(defined) < len(judged) else ""
    return GateResult(words, gate.metric, f"{len(defined)} of {len(slices)} slices judged{left}", passed=True)


def _within(value: float | None, gate: GateSpec | SliceGateSpec) -> bool:
    if value is None:
        return False
    return (gate.at_least is None or value >= gate.at_least) and (gate.at_most is None or value <= gate.at_most)


def _limit_words(gate: GateSpec | SliceGateSpec) -> str:
    words = [f"at least {gate.at_least:g}"] if gate.at_least is not None else []
    words += [f"at most {gate.at_most:g}"] if gate.at_most is not None else []
    return " and ".join(words)
