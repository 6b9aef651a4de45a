"""Gates: what passes, what does not, and the text of the result."""

import pytest

from include.contract.measures import GateResult, Interval
from include.modeling.slices import Slice
from include.spec.training import EvaluationSpec, GateSpec, SliceGateSpec
from include.steps.evaluate.gates import Comparison, evaluate_gates

MEASURED = {"roc_auc": Interval(value=0.72, low=0.70, high=0.74), "log_loss": Interval(value=0.45, low=0.44, high=0.46)}


def _other(area: float, loss: float) -> dict[str, Comparison]:
    measured = {
        "roc_auc": Interval(value=area, low=None, high=None),
        "log_loss": Interval(value=loss, low=None, high=None),
    }
    differences = {
        "roc_auc": Interval(value=0.72 - area, low=None, high=None),
        "log_loss": Interval(value=0.45 - loss, low=None, high=None),
    }
    return {name: Comparison(name, measured, differences) for name in ("baseline", "champion")}


def _nobody(*, passes: bool) -> dict[str, Comparison]:
    return {"champion": Comparison("champion", None, {}, "there is nobody", passes)}


def _evaluate(gate: GateSpec, others: dict[str, Comparison] | None = None) -> GateResult:
    (result,) = evaluate_gates(EvaluationSpec(gates=(gate,)), MEASURED, others or {}, [])
    return result


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        (GateSpec(metric="roc_auc", at_least=0.72), True),
        (GateSpec(metric="roc_auc", at_least=0.73), False),
        (GateSpec(metric="log_loss", at_most=0.45), True),
        (GateSpec(metric="log_loss", at_most=0.44), False),
    ],
)
def test_a_limit_includes_itself(gate: GateSpec, passed: bool) -> None:  # noqa: FBT001
    assert _evaluate(gate).passed is passed


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        (GateSpec(metric="roc_auc", better_than="baseline", by=0.015), True),
        (GateSpec(metric="roc_auc", better_than="baseline", by=0.025), False),
        (GateSpec(metric="log_loss", better_than="champion", by=0.015), True),
        (GateSpec(metric="log_loss", better_than="champion", by=0.025), False),
    ],
)
def test_better_means_smaller_where_smaller_is_better(gate: GateSpec, passed: bool) -> None:  # noqa: FBT001
    assert _evaluate(gate, _other(0.70, 0.47)).passed is passed


def test_equal_is_not_better_but_may_be_allowed() -> None:
    same = _other(0.72, 0.45)

    assert not _evaluate(GateSpec(metric="roc_auc", better_than="champion"), same).passed
    assert _evaluate(GateSpec(metric="roc_auc", better_than="champion", by=-0.01), same).passed


def test_nobody_to_compare_with_passes_only_where_there_is_nobody_yet() -> None:
    gate = GateSpec(metric="roc_auc", better_than="champion")

    assert _evaluate(gate, _nobody(passes=True)).passed
    refused = _evaluate(gate, _nobody(passes=False))
    assert not refused.passed
    assert refused.reason == "Gate 'roc_auc better than champion by 0' failed: there is nobody."


def test_a_metric_that_is_not_defined_passes_no_gate() -> None:
    nothing = {"roc_auc": Interval(value=None, low=None, high=None)}
    gates = EvaluationSpec(gates=(GateSpec(metric="roc_auc", at_least=0.0),))

    (result,) = evaluate_gates(gates, nothing, {}, [])

    assert not result.passed
    assert result.found == "roc_auc is not defined"


def test_the_result_holds_the_numbers() -> None:
    result = _evaluate(GateSpec(metric="roc_auc", better_than="baseline", by=0.1), _other(0.70, 0.47))

    assert result.found == "roc_auc is 0.7200 [0.7000, 0.7400], baseline has 0.7000; difference 0.0200"
    assert result.passed is False


def test_slices_are_evaluated_if_they_are_large_enough() -> None:
    slices = [_slice("a", 900, 0.5), _slice("b", 100, 0.1), _slice("c", 900, None), _slice("d", 900, 0.9)]
    spec = EvaluationSpec(
        gates=(GateSpec(metric="roc_auc", at_least=0.0),),
        slice_gates=(
            SliceGateSpec(metric="roc_auc", at_least=0.6, rows_at_least=500),
            SliceGateSpec(metric="roc_auc", at_least=0.4, rows_at_least=500),
        ),
    )

    _, failed, passed = evaluate_gates(spec, MEASURED, {}, slices)

    assert not failed.passed
    assert failed.found == "place a: 0.5000 in 900 rows"
    assert passed.passed
    assert passed.found == "2 of 4 slices evaluated; 1 have one class only"


def _slice(value: str, rows: int, area: float | None) -> Slice:
    return Slice(
        column="place",
        value=value,
        rows=rows,
        positives=1,
        measured={"roc_auc": Interval(value=area, low=None, high=None)},
    )
