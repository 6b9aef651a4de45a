"""The model card: what a model is, what it was made from, how it does and whether it may be promoted."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.contract.receipt import Json, ModelState, Receipt
from include.modeling.intervals import Judged, described
from include.modeling.metrics import METRICS, Counts, Numbers, roc_curve
from include.modeling.slices import Slice
from include.spec.project import ProjectSpec
from include.steps.evaluate.card_plots import calibration_plot, importance_plot, roc_plot, slices_plot
from include.steps.evaluate.gates import GateResult, Opposition
from include.steps.evaluate.importance import Importance

NAMES = {
    "model": "Model",
    "baseline": "Baseline",
    "prior": "Prior",
    "champion": "Champion",
    "roc_auc": "Area under the ROC curve",
    "average_precision": "Average precision",
    "log_loss": "Log loss",
    "brier_score": "Brier score",
    "expected_calibration_error": "Expected calibration error",
}
TABLED_FEATURES = 15
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1b1f24;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:0}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d8dee4;vertical-align:top}
.plots{display:flex;flex-wrap:wrap;gap:1rem}svg{max-width:100%;height:auto}
.yes{color:#116329}.no{color:#a40e26}.soft{color:#57606a}
"""


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything that a card tells; sums and shares of rows, never a row."""

    spec: ProjectSpec
    train: Receipt
    models: Mapping[str, Judged]
    """``model``, ``baseline``, ``prior`` and, where there is one, ``champion``."""
    oppositions: Mapping[str, Opposition]
    gates: Sequence[GateResult]
    slices: Mapping[str, Sequence[Slice]]
    calibration: Sequence[Mapping[str, float]]
    importance: Sequence[Importance]
    intervals: Json
    baseline: str
    champion: ModelState | None
    champion_saw: tuple[str, ...]
    """Test partitions that the champion was fitted on."""
    test: tuple[str, ...]
    target: Counts
    said: Mapping[str, Numbers]

    @property
    def passed(self) -> bool:
        """Whether the model may be promoted."""
        return all(gate.passed for gate in self.gates)

    @property
    def reasons(self) -> list[str]:
        """Why not."""
        return [gate.reason for gate in self.gates if not gate.passed]

    def results(self) -> Json:
        """The judgement as the receipt holds it."""
        other = self.oppositions["champion"]
        champion: Json | None = None
        if self.champion is not None:
            champion = {
                "version": self.champion.version,
                "run_id": self.champion.run_id,
                "compared": other.measured is not None,
                "why": other.absent,
                "saw": list(self.champion_saw),
            }
        return {
            "passed": self.passed,
            "promote": self.passed,
            "reasons": list(self.reasons),
            "gates": [gate.described() for gate in self.gates],
            "metrics": {name: described(judged.measured) for name, judged in self.models.items()},
            "differences": {
                name: described(other.differences) for name, other in self.oppositions.items() if other.measured
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


def markdown_card(card: Card) -> str:
    """The card as Markdown."""
    spec = card.spec
    lines = [f"# Model card: {spec.model.name}", "", spec.model.description, "", f"**{_verdict(card)}**", ""]
    lines += [f"- {reason}" for reason in [*card.reasons, *_caveats(card)]]
    for title, header, rows in _tables(card):
        lines += ["", f"## {title}", ""]
        lines += [_markdown_row(header), _markdown_row(["---"] * len(header)), *map(_markdown_row, rows)]
    lines += ["", _footnote(card), ""]
    return "\n".join(lines)


def html_card(card: Card) -> str:
    """The card as one HTML file that needs nothing else."""
    spec = card.spec
    kind = "yes" if card.passed else "no"
    curves = {NAMES[name]: roc_curve(card.target, card.said[name]) for name in card.models if name != "prior"}
    plots = [roc_plot(curves), calibration_plot(card.calibration), importance_plot(card.importance)]
    plots += [slices_plot(column, parts, "roc_auc") for column, parts in card.slices.items()]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>Model card: {_text(spec.model.name)}</title><style>{STYLE}</style>",
        f"<h1>{_text(spec.model.name)}</h1><p class=soft>{_text(spec.title)}: {_text(spec.model.description)}</p>",
        f"<p class={kind}><strong>{_text(_verdict(card))}</strong></p>",
        "".join(f"<p class=no>{_text(reason)}</p>" for reason in [*card.reasons, *_caveats(card)]),
        f"<div class=plots>{''.join(plots)}</div>",
    ]
    for title, header, rows in _tables(card):
        cells = "".join(f"<th>{_text(cell)}</th>" for cell in header)
        body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
        parts.append(f"<h2>{_text(title)}</h2><table><tr>{cells}</tr>{body}</table>")
    parts.append(f"<p class=soft>{_text(_footnote(card))}</p></html>")
    return "\n".join(parts)


def _tables(card: Card) -> list[tuple[str, list[str], list[list[str]]]]:
    return [
        ("Gates", ["Gate", "Found", "Passed"], [[one.gate, one.found, _yes(one.passed)] for one in card.gates]),
        (
            f"Metrics on {', '.join(card.test)}",
            ["Metric", *(NAMES[name] for name in card.models)],
            [[NAMES[metric], *(str(one.measured[metric]) for one in card.models.values())] for metric in METRICS],
        ),
        *[
            (
                f"By {column}",
                [column, "Rows", "Share of ones", NAMES["roc_auc"], NAMES["expected_calibration_error"]],
                [_slice_row(one) for one in parts],
            )
            for column, parts in card.slices.items()
        ],
        (
            "Calibration",
            ["Predicted from", "to", "Rows", "Mean predicted", "Came true"],
            [_calibration_row(one) for one in card.calibration],
        ),
        ("What the model uses", ["Feature", "Meaning", "Loss when shuffled"], _importance_rows(card)),
        ("What it was made from", ["", ""], _origin_rows(card)),
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


def _origin_rows(card: Card) -> list[list[str]]:
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
        ["Left out", "; ".join(reasons) or "none"],
        ["Parameters", ", ".join(f"{name} {value}" for name, value in parameters.items())],
        ["MLflow run", str(train.results["run_id"])],
        ["Model file", " ".join(state.digest for state in train.outputs)],
        ["Owner", f"{spec.owner.team}, {spec.owner.email}"],
    ]


def _joined(names: object) -> str:
    return ", ".join(str(name) for name in names) if isinstance(names, list) else ""


def _caveats(card: Card) -> list[str]:
    if not card.champion_saw:
        return []
    return [f"The champion was fitted on {', '.join(card.champion_saw)}: what it shows there is too good."]


def _verdict(card: Card) -> str:
    return "Passed all gates" if card.passed else "Not to be promoted"


def _footnote(card: Card) -> str:
    found = card.intervals
    return (
        f"Intervals hold the middle {float(str(found['confidence'])):.0%} of {found['resamples']} resamples of "
        f"{found['units']} units (unit: {found['unit']}). Baseline: {card.baseline}"
    )


def _yes(passed: bool) -> str:  # noqa: FBT001 (a word for a truth)
    return "yes" if passed else "no"


def _text(value: str) -> str:
    return html.escape(value)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
