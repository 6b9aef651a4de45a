"""
The model card: what a model is, its provenance, its metrics on the holdout, and whether it may be promoted.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.contract.receipt import Json, ModelState, Receipt
from include.modeling.intervals import ModelMetrics, described
from include.modeling.metrics import METRICS, Counts, Numbers, roc_curve
from include.modeling.slices import Slice
from include.pages.rendering import rendered
from include.spec.project import ProjectSpec
from include.steps.evaluate.card_plots import calibration_plot, importance_plot, roc_plot, slices_plot
from include.steps.evaluate.gates import Comparison, GateResult
from include.steps.evaluate.importance import Importance

NAMES = {
    "model": "Model",
    "baseline": "Baseline",
    "prior": "Prior",
    "champion": "Champion",
    "roc_auc": "ROC AUC",
    "average_precision": "Average precision",
    "log_loss": "Log loss",
    "brier_score": "Brier score",
    "expected_calibration_error": "Expected calibration error",
}
TABLED_FEATURES = 15


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything that a card shows; sums and shares of rows, never a row."""

    spec: ProjectSpec
    train: Receipt
    models: Mapping[str, ModelMetrics]
    """``model``, ``baseline``, ``prior`` and, where there is one, ``champion``."""
    comparisons: Mapping[str, Comparison]
    gates: Sequence[GateResult]
    slices: Mapping[str, Sequence[Slice]]
    calibration: Sequence[Mapping[str, float]]
    importance: Sequence[Importance]
    intervals: Json
    baseline: str
    champion: ModelState | None
    champion_fitted_on: tuple[str, ...]
    """Test partitions that the champion was fitted on."""
    test: tuple[str, ...]
    target: Counts
    """0 or 1 for each row of the holdout."""
    probabilities: Mapping[str, Numbers]
    """Of a 1 for each row of the holdout, by model."""

    @property
    def passed(self) -> bool:
        """Whether the model may be promoted."""
        return all(gate.passed for gate in self.gates)

    @property
    def reasons(self) -> list[str]:
        """Why not."""
        return [gate.reason for gate in self.gates if not gate.passed]

    def results(self) -> Json:
        """The evaluation as the receipt holds it."""
        other = self.comparisons["champion"]
        champion: Json | None = None
        if self.champion is not None:
            champion = {
                "version": self.champion.version,
                "run_id": self.champion.run_id,
                "compared": other.measured is not None,
                "why": other.absent,
                "saw": list(self.champion_fitted_on),
            }
        return {
            "passed": self.passed,
            "promote": self.passed,
            "reasons": list(self.reasons),
            "gates": [gate.described() for gate in self.gates],
            "metrics": {name: described(one.measured) for name, one in self.models.items()},
            "differences": {
                name: described(other.differences) for name, other in self.comparisons.items() if other.measured
            },
            "intervals": self.intervals,
            "champion": champion,
            "baseline": self.baseline,
            "slices": {column: [one.described() for one in parts] for column, parts in self.slices.items()},
            "calibration": [{name: round(value, 6) for name, value in one.items()} for one in self.calibration],
            "importance": [one.described() for one in self.importance],
            "run_id": self.train.results["run_id"],
            "test": list(self.test),
        }


@dataclass(frozen=True)
class _Table:
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()
    """Positions of the columns that hold numbers."""


def markdown_card(card: Card) -> str:
    """The card as Markdown."""
    return rendered("steps/evaluate/card.md.jinja", **_content(card))


def html_card(card: Card) -> str:
    """The card as one HTML file that needs nothing else."""
    curves = {NAMES[name]: roc_curve(card.target, card.probabilities[name]) for name in card.models if name != "prior"}
    plots = [roc_plot(curves), calibration_plot(card.calibration), importance_plot(card.importance)]
    plots += [slices_plot(column, parts, "roc_auc") for column, parts in card.slices.items()]
    return rendered("steps/evaluate/card.html.jinja", plots=plots, **_content(card))


def _content(card: Card) -> dict[str, object]:
    return {
        "title": f"Model card: {card.spec.model.name}",
        "spec": card.spec,
        "passed": card.passed,
        "notes": [*card.reasons, *_caveats(card)],
        "tables": _tables(card),
        "intervals": card.intervals,
        "baseline": card.baseline,
    }


def _tables(card: Card) -> list[_Table]:
    return [
        _Table("Gates", ["Gate", "Value", "Passed"], [[one.gate, one.found, _yes(one.passed)] for one in card.gates]),
        _Table(
            f"Metrics on the holdout ({', '.join(card.test)})",
            ["Metric", *(NAMES[name] for name in card.models)],
            [[NAMES[metric], *(str(one.measured[metric]) for one in card.models.values())] for metric in METRICS],
            frozenset(range(1, len(card.models) + 1)),
        ),
        *[
            _Table(
                f"By {column}",
                [column, "Rows", "Positive rate", NAMES["roc_auc"], NAMES["expected_calibration_error"]],
                [_slice_row(one) for one in parts],
                frozenset({1, 2, 3, 4}),
            )
            for column, parts in card.slices.items()
        ],
        _Table(
            "Calibration",
            ["Predicted from", "to", "Rows", "Mean predicted probability", "Observed frequency"],
            [_calibration_row(one) for one in card.calibration],
            frozenset({1, 2, 3, 4}),
        ),
        _Table(
            "Permutation importance",
            ["Feature", "Meaning", "Drop in ROC AUC"],
            _importance_rows(card),
            frozenset({2}),
        ),
        _Table("Provenance", ["Item", "Value"], _provenance_rows(card)),
    ]


def _slice_row(one: Slice) -> list[str]:
    share = f"{one.positives / one.rows:.1%}"
    measured = [str(one.measured[name]) for name in ("roc_auc", "expected_calibration_error")]
    return [one.value, f"{one.rows:,}", share, *measured]


def _calibration_row(one: Mapping[str, float]) -> list[str]:
    shares = [f"{one[name]:.3f}" for name in ("from", "to", "predicted", "observed")]
    return [*shares[:2], f"{one['rows']:,.0f}", *shares[2:]]


def _importance_rows(card: Card) -> list[list[str]]:
    columns = card.spec.feature_set.columns
    return [
        [one.feature, columns[one.feature].meaning if one.feature in columns else "", f"{one.drop:.4f}"]
        for one in card.importance[:TABLED_FEATURES]
    ]


def _provenance_rows(card: Card) -> list[list[str]]:
    train, spec = card.train, card.spec
    window = train.results["window"] if isinstance(train.results["window"], dict) else {}
    features = train.results["features"] if isinstance(train.results["features"], dict) else {}
    kept, dropped = features.get("kept"), features.get("dropped")
    parameters = train.results["parameters"] if isinstance(train.results["parameters"], dict) else {}
    reasons = [f"{one['feature']} ({one['why']})" for one in dropped or [] if isinstance(one, dict)]  # type: ignore[union-attr]
    return [
        ["Target", f"{spec.target.name}: {spec.target.meaning}"],
        *[[f"Partitions: {role}", _joined(window.get(role))] for role in ("train", "validation", "test")],
        ["Rows", ", ".join(f"{name} {count:,}" for name, count in train.row_counts.items())],
        ["Features", f"{features.get('table')}: {_joined(kept)}"],
        ["Dropped features", "; ".join(reasons) or "none"],
        ["Parameters", ", ".join(f"{name} {value}" for name, value in parameters.items())],
        ["MLflow run", str(train.results["run_id"])],
        ["Model file", " ".join(state.digest for state in train.outputs)],
        ["Owner", f"{spec.owner.team}, {spec.owner.email}"],
    ]


def _joined(names: object) -> str:
    return ", ".join(str(name) for name in names) if isinstance(names, list) else ""


def _caveats(card: Card) -> list[str]:
    if not card.champion_fitted_on:
        return []
    return [f"The champion was fitted on {', '.join(card.champion_fitted_on)}: its metrics there are optimistic."]


def _yes(passed: bool) -> str:  # noqa: FBT001 (its only argument)
    return "yes" if passed else "no"
