import numpy as np
import pyarrow as pa

from include.steps.validate.findings import Finding, SourceValidation
from include.steps.validate.report import html_report

FINDINGS = (
    Finding(rule="row_count", kind="partition", checked=10, observed=10, allowed="from 1 to 30 rows"),
    Finding(rule="regex(a)", kind="rows", checked=10, failed=3, allowed="regex <b>&", meaning="Why & how."),
    Finding(rule="mean(a)", kind="partition", level="warning", checked=10, failed=1, observed=0.123456789),
)


def page(bad: int) -> str:
    mask = np.arange(10) < bad
    validation = SourceValidation(
        source="x", rows=pa.table({"a": range(10)}), findings=FINDINGS, bad=mask, quarantine_at_most=0.3
    )
    return html_report("shop", "2013-03", [validation])


def test_passed_failed_and_warned() -> None:
    html = page(3)
    assert '<td class="passed">passed</td><td class="number">10</td>' in html
    assert '<td class="failed">failed</td><td class="number">3</td>' in html
    assert '<td class="warning">warning</td><td class="number">1</td>' in html
    assert "0.123457" in html


def test_a_fault_is_shown_first() -> None:
    assert '<li class="failed">4 of 10 rows (40.00%) are bad' in page(4)


def test_texts_of_the_spec_are_escaped() -> None:
    assert "regex &lt;b&gt;&amp;" in page(3)
    assert "Why &amp; how." in page(3)
