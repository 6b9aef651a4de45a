"""The drift of a partition as one HTML page that needs nothing from elsewhere."""

from collections.abc import Sequence
from html import escape

from include.modeling.drift import MODERATE, STRONG, Bin, ColumnDrift

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1c1e21; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: middle; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.moderate { color: #8a5a00; font-weight: 600; } .strong { color: #b3261e; font-weight: 600; } .none { color: #11703c; }
.before { fill: #b8bec6; } .now { fill: #1f6feb; fill-opacity: .65; }
small { color: #5a6068; }
"""
_HEIGHT = 36
_BAR = 12


def drift_page(
    title: str, compared_with: Sequence[str], drifts: Sequence[ColumnDrift], meanings: dict[str, str]
) -> str:
    """
    The page: one row a column, the greatest drift first.

    :param compared_with: the partitions before; the page says so where there are none.
    :param meanings: what each column says.
    """
    head = "".join(
        f"<th>{word}</th>" for word in ("column", "shift", "PSI", "KS", "p", "nulls", "values", "before | now")
    )
    rows = "".join(_row(drift, meanings.get(drift.column, "")) for drift in drifts)
    told = (
        f"Compared with {escape(', '.join(compared_with))}. PSI from {MODERATE} is a moderate shift, from {STRONG} a "
        "strong one; KS is the greatest distance of the two distribution functions. Grey: before; blue: this partition."
        if compared_with
        else "There is no partition before this one to compare it with."
    )
    table = f"<table><tr>{head}</tr>{rows}</table>" if drifts else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><p>{told}</p>{table}</body></html>\n"
    )


def _row(drift: ColumnDrift, meaning: str) -> str:
    level = drift.level if drift.psi is not None else "none"
    told = level if drift.psi is not None else f"not compared: {drift.kind}"
    values = "" if drift.new_values is None else f"{drift.new_values} new, {drift.vanished_values} gone"
    return (
        f"<tr><td><b>{escape(drift.column)}</b><br><small>{escape(meaning)}</small></td>"
        f'<td class="{level}">{told}</td><td class="number">{_number(drift.psi)}</td>'
        f'<td class="number">{_number(drift.ks)}</td><td class="number">{_number(drift.ks_p)}</td>'
        f'<td class="number">{drift.nulls_before:.2%} | {drift.nulls_now:.2%}</td><td>{values}</td>'
        f"<td>{_bars(drift.bins)}</td></tr>"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _bars(bins: Sequence[Bin]) -> str:
    if not bins:
        return ""
    highest = max(max(one.reference, one.current) for one in bins) or 1.0
    drawn = []
    for number, one in enumerate(bins):
        told = escape(f"{one.label}: {one.reference:.1%} before, {one.current:.1%} now")
        drawn.append(f"<g><title>{told}</title>")
        for kind, share, shift, width in (("before", one.reference, 0, _BAR - 2), ("now", one.current, 3, _BAR - 8)):
            height = _HEIGHT * share / highest
            drawn.append(
                f'<rect class="{kind}" x="{number * _BAR + shift}" y="{_HEIGHT - height:.1f}" width="{width}" '
                f'height="{height:.1f}"/>'
            )
        drawn.append("</g>")
    width = len(bins) * _BAR
    return f'<svg width="{min(width, 360)}" height="{_HEIGHT}" viewBox="0 0 {width} {_HEIGHT}">{"".join(drawn)}</svg>'
