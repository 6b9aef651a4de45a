"""The report of a validation: one HTML page that needs nothing from elsewhere, and holds no row's value."""

from collections.abc import Sequence
from html import escape

from include.steps.validate.findings import Finding, Judgement

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1c1e21; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 2rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.passed { color: #11703c; } .failed { color: #b3261e; font-weight: 600; } .warning { color: #8a5a00; font-weight: 600; }
code { font-size: .92em; }
"""


def html_report(project: str, partition: str, judgements: Sequence[Judgement]) -> str:
    """The page: an overview of the sources, then each source's rules."""
    title = f"{escape(project)} {escape(partition)}: validation"
    overview = "".join(_overview_row(judgement) for judgement in judgements)
    details = "".join(_details(judgement) for judgement in judgements)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"</head><body><h1>{title}</h1>"
        "<table><tr><th>source</th><th>verdict</th><th>rows</th><th>to quarantine</th><th>at most</th></tr>"
        f"{overview}</table>{details}"
        "<p>Counts and rules only; the rows are in the tables <code>raw</code> and <code>quarantine</code>.</p>"
        "</body></html>\n"
    )


def _overview_row(judgement: Judgement) -> str:
    verdict = "failed" if judgement.faults else "passed"
    name = escape(judgement.source)
    return (
        f'<tr><td><a href="#{name}">{name}</a></td><td class="{verdict}">{verdict}</td>'
        f'<td class="number">{judgement.rows.num_rows:,}</td>'
        f'<td class="number">{judgement.quarantined:,} ({judgement.share:.2%})</td>'
        f'<td class="number">{judgement.quarantine_at_most:.2%}</td></tr>'
    )


def _details(judgement: Judgement) -> str:
    faults = "".join(f'<li class="failed">{escape(fault)}</li>' for fault in judgement.faults)
    rules = "".join(_rule_row(finding) for finding in judgement.findings)
    head = "".join(f"<th>{word}</th>" for word in ("rule", "verdict", "failed", "checked", "found", "allowed", "why"))
    name = escape(judgement.source)
    return f'<h2 id="{name}">{name}</h2><ul>{faults}</ul><table><tr>{head}</tr>{rules}</table>'


def _rule_row(finding: Finding) -> str:
    verdict = "passed" if finding.passed else "failed" if finding.level == "error" else "warning"
    found = "" if finding.observed is None else f"{finding.observed:,.6g}"
    return (
        f'<tr><td><code>{escape(finding.rule)}</code></td><td class="{verdict}">{verdict}</td>'
        f'<td class="number">{finding.failed:,}</td><td class="number">{finding.checked:,}</td>'
        f'<td class="number">{found}</td><td>{escape(finding.allowed)}</td><td>{escape(finding.meaning)}</td></tr>'
    )
