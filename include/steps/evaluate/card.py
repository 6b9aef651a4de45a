"""
The model card: what a model is, its provenance, its metrics on the holdout, and whether it may be promoted.

The sections follow Mitchell et al., "Model Cards for Model Reporting" (2019).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.contract.measures import CalibrationBin, FeatureImportance, GateResult, ResamplingDescription
from include.contract.receipt import ModelState, Receipt
from include.contract.results import ChampionCompared, EvaluateResults, ReportKind, TrainResults
from include.modeling.intervals import ModelMetrics, rounded
from include.modeling.metrics import METRICS, Counts, Numbers, roc_curve
from include.modeling.slices import Slice
from include.pages.rendering import rendered
from include.spec.project import ProjectSpec
from include.steps.evaluate.card_plots import calibration_plot, importance_plot, roc_plot, slices_plot
from include.steps.evaluate.gates import Comparison

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
    """The content of a card: aggregates of rows, never a row's values."""

    spec: ProjectSpec
    train: Receipt
    models: Mapping[str, ModelMetrics]
    """``model``, ``baseline``, ``prior`` and, where there is one, ``champion``."""
    comparisons: Mapping[str, Comparison]
    gates: Sequence[GateResult]
    slices: Mapping[str, Sequence[Slice]]
    calibration: Sequence[CalibrationBin]
    importance: Sequence[FeatureImportance]
    intervals: ResamplingDescription
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
    def trained(self) -> TrainResults:
        """The results of the train step."""
        return self.train.results_of(TrainResults)

    @property
    def passed(self) -> bool:
        """Whether the model may be promoted."""
        return all(gate.passed for gate in self.gates)

    @property
    def reasons(self) -> list[str]:
        """A sentence for each gate that did not pass."""
        return [gate.reason for gate in self.gates if not gate.passed]

    def results(self, reports: Mapping[ReportKind, str]) -> EvaluateResults:
        """
        The evaluation as the receipt holds it.

        :param reports: keys of the reports, by kind.
        """
        return EvaluateResults(
            passed=self.passed,
            promote=self.passed,
            reasons=tuple(self.reasons),
            gates=tuple(self.gates),
            metrics={name: rounded(one.measured) for name, one in self.models.items()},
            differences={name: rounded(one.differences) for name, one in self.comparisons.items() if one.measured},
            intervals=self.intervals,
            champion=self._compared(),
            baseline=self.baseline,
            slices={column: tuple(one.described() for one in parts) for column, parts in self.slices.items()},
            calibration=tuple(self.calibration),
            importance=tuple(self.importance),
            run_id=self.trained.run_id,
            test=self.test,
            reports=dict(reports),
        )

    def _compared(self) -> ChampionCompared | None:
        if self.champion is None:
            return None
        comparison = self.comparisons["champion"]
        return ChampionCompared(
            version=self.champion.version,
            run_id=self.champion.run_id,
            compared=comparison.measured is not None,
            why=comparison.absent,
            saw=self.champion_fitted_on,
        )


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
    """The card as one self-contained HTML file."""
    # The prior is the same for every row: its curve is the diagonal, which the plot has anyway.
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


def _calibration_row(one: CalibrationBin) -> list[str]:
    return [f"{one.low:.3f}", f"{one.high:.3f}", f"{one.rows:,}", f"{one.predicted:.3f}", f"{one.observed:.3f}"]


def _importance_rows(card: Card) -> list[list[str]]:
    columns = card.spec.feature_set.columns
    return [
        [one.feature, columns[one.feature].meaning if one.feature in columns else "", f"{one.drop:.4f}"]
        for one in card.importance[:TABLED_FEATURES]
    ]


def _provenance_rows(card: Card) -> list[list[str]]:
    train, trained, spec = card.train, card.trained, card.spec
    window, features = trained.window, trained.features
    partitions = {"train": window.train, "validation": window.validation, "test": window.test}
    reasons = [f"{one.feature} ({one.why})" for one in features.dropped]
    return [
        ["Target", f"{spec.target.name}: {spec.target.meaning}"],
        *[[f"Partitions: {role}", ", ".join(names)] for role, names in partitions.items()],
        ["Rows", ", ".join(f"{name} {count:,}" for name, count in train.row_counts.items())],
        ["Features", f"{features.table}: {', '.join(features.kept)}"],
        ["Dropped features", "; ".join(reasons) or "none"],
        ["Parameters", ", ".join(f"{name} {value}" for name, value in trained.parameters.items())],
        ["MLflow run", trained.run_id],
        ["Model file", " ".join(state.digest for state in train.outputs)],
        ["Owner", f"{spec.owner.team}, {spec.owner.email}"],
    ]


def _caveats(card: Card) -> list[str]:
    if not card.champion_fitted_on:
        return []
    return [f"The champion was fitted on {', '.join(card.champion_fitted_on)}: its metrics there are optimistic."]


def _yes(passed: bool) -> str:  # noqa: FBT001 (its only argument)
    return "yes" if passed else "no"
