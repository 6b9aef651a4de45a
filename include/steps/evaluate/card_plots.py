"""Plots of a model card as SVG, drawn by hand: importing a plotting library takes half a second."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

from include.contract.measures import CalibrationBin, FeatureImportance
from include.modeling.slices import Slice

WIDTH, HEIGHT, MARGIN = 360, 320, 44
BAR_HEIGHT, LABEL_WIDTH = 17, 165
MOST_BARS = 15
TITLES = {"roc_auc": "ROC AUC"}
COLOURS = ("#0969da", "#9a6700", "#8250df")

Point = tuple[float, float]


def roc_plot(curves: Mapping[str, Sequence[Point]]) -> Markup:
    """
    ROC curves in one square.

    :param curves: points from (0, 0) to (1, 1) by name.
    """
    parts = [_axes("False positive rate", "True positive rate"), _line([(0, 0), (1, 1)], "#d0d7de")]
    for number, (name, points) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(_line(points, colour))
        y = HEIGHT - MARGIN - 12 - 15 * (len(curves) - 1 - number)
        parts.append(f"<text x={WIDTH - MARGIN - 6} y={y} text-anchor=end fill='{colour}'>{escape(name)}</text>")
    return _svg("ROC curve", parts, HEIGHT)


def calibration_plot(bins: Sequence[CalibrationBin]) -> Markup:
    """
    Reliability diagram: mean predicted probability against observed frequency, a point a bin.

    :param bins: as :func:`include.modeling.metrics.calibration` makes them.
    """
    points = [(one.predicted, one.observed) for one in bins]
    dots = "".join(f"<circle cx={_x(x):.1f} cy={_y(y):.1f} r=3.5 fill='{COLOURS[0]}'/>" for x, y in points)
    parts = [
        _axes("Mean predicted probability", "Observed frequency"),
        _line([(0, 0), (1, 1)], "#d0d7de"),
        _line(points, COLOURS[0]),
        dots,
    ]
    return _svg("Calibration", parts, HEIGHT)


def importance_plot(importances: Sequence[FeatureImportance]) -> Markup:
    """
    A bar a feature, at most fifteen; a feature whose shuffling helps has none.

    :param importances: the greatest first.
    """
    shown = importances[:MOST_BARS]
    longest = max((one.drop for one in shown), default=0.0)
    bars = []
    for number, one in enumerate(shown):
        length = (WIDTH - LABEL_WIDTH - 60) * max(one.drop, 0.0) / longest if longest > 0 else 0.0
        bars.append(_label(number, one.feature))
        bars.append(f"<rect x={LABEL_WIDTH} y={_row(number)} width={length:.1f} height=11 fill='{COLOURS[0]}'/>")
        bars.append(f"<text x={LABEL_WIDTH + length + 5:.1f} y={_row(number) + 10}>{one.drop:.4f}</text>")
    return _svg("Permutation importance (drop in ROC AUC)", bars, _row(len(shown)) + 12)


def slices_plot(column: str, slices: Sequence[Slice], metric: str) -> Markup:
    """
    A dot and an interval a slice, at most fifteen; slices without a value of the metric are left out.

    :param slices: of one column, the largest first.
    :param metric: such as ``roc_auc``.
    """
    shown = [one for one in slices if one.measured[metric].value is not None][:MOST_BARS]
    ends = [end for one in shown for end in (one.measured[metric].low, one.measured[metric].high) if end is not None]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    span = max(high - low, 1e-9)  # a single slice has no span

    def at(value: float) -> float:
        return LABEL_WIDTH + (WIDTH - LABEL_WIDTH - 20) * (value - low) / span

    parts = []
    for number, one in enumerate(shown):
        interval, y = one.measured[metric], _row(number) + 6
        parts.append(_label(number, f"{one.value} ({one.rows:,})"))
        if interval.low is not None and interval.high is not None:
            parts.append(f"<path d='M{at(interval.low):.1f} {y}H{at(interval.high):.1f}' stroke='{COLOURS[0]}'/>")
        parts.append(f"<circle cx={at(interval.value or low):.1f} cy={y} r=3.5 fill='{COLOURS[0]}'/>")
    bottom = _row(len(shown)) + 12
    parts.append(f"<text x={LABEL_WIDTH} y={bottom}>{low:.3f}</text>")
    parts.append(f"<text x={WIDTH - 20} y={bottom} text-anchor=end>{high:.3f}</text>")
    return _svg(f"{TITLES.get(metric, metric)} by {column}", parts, bottom + 10)


def _svg(title: str, parts: Sequence[str], height: int) -> Markup:
    head = f"<svg xmlns='http://www.w3.org/2000/svg' width={WIDTH} height={height} viewBox='0 0 {WIDTH} {height}'"
    text = f"<text x=8 y=16 font-weight=600>{escape(title)}</text>"
    style = "font-family='system-ui,sans-serif' font-size=11 fill='#1b1f24'"
    return Markup(f"{head} {style}>{text}{''.join(parts)}</svg>")  # noqa: S704 (each name in it was escaped)


def _axes(across: str, up: str) -> str:
    box = f"<path d='M{MARGIN} {_y(1):.0f}V{_y(0):.0f}H{_x(1):.0f}' fill=none stroke='#57606a'/>"
    ticks = "".join(
        f"<text x={_x(value):.0f} y={_y(0) + 14:.0f} text-anchor=middle>{value:g}</text>"
        f"<text x={MARGIN - 5} y={_y(value) + 4:.0f} text-anchor=end>{value:g}</text>"
        for value in (0.0, 0.5, 1.0)
    )
    names = f"<text x={_x(0.5):.0f} y={HEIGHT - 8} text-anchor=middle>{across}</text>"
    middle = f"{12} {_y(0.5):.0f}"
    return f"{box}{ticks}{names}<text transform='translate({middle}) rotate(-90)' text-anchor=middle>{up}</text>"


def _line(points: Sequence[Point], colour: str) -> str:
    # A space before the slash: an attribute without quotes would take the slash as its last character.
    coordinates = " ".join(f"{_x(x):.1f},{_y(y):.1f}" for x, y in points)
    return f"<polyline points='{coordinates}' fill=none stroke='{colour}' stroke-width=1.6 />"


def _label(number: int, text: str) -> str:
    return f"<text x={LABEL_WIDTH - 6} y={_row(number) + 10} text-anchor=end>{escape(text)}</text>"


def _row(number: int) -> int:
    return 28 + number * BAR_HEIGHT


def _x(share: float) -> float:
    return MARGIN + share * (WIDTH - 2 * MARGIN)


def _y(share: float) -> float:
    return HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)
