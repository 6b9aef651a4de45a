from include.modeling.drift import Bin, ColumnDrift
from include.steps.profile.drift_report import drift_page

MOVED = ColumnDrift(
    column="a<b",
    kind="numbers",
    nulls_before=0.0,
    nulls_now=0.125,
    psi=0.3,
    ks=0.2,
    ks_p=0.0,
    bins=(Bin(label="below <1", reference=0.5, current=1.0), Bin(label="from 1", reference=0.5, current=0.0)),
)


def test_a_row_a_column() -> None:
    page = drift_page("Shop", ["2013-01", "2013-02"], [MOVED], {"a<b": "Less & more."})
    assert "Compared with 2013-01, 2013-02." in page
    assert '<td class="strong">strong</td><td class="number">0.300</td>' in page
    assert "0.00% | 12.50%" in page
    assert page.count("<rect") == 4


def test_names_and_labels_are_no_markup() -> None:
    page = drift_page("A < B", ["2013-01"], [MOVED], {"a<b": "Less & more."})
    assert "<b>a&lt;b</b>" in page
    assert "below &lt;1: 50.0% before, 100.0% now" in page
    assert "Less &amp; more." in page
    assert "http" not in page


def test_what_is_not_compared_is_stated() -> None:
    moments = ColumnDrift(column="at", kind="moments", nulls_before=0.0, nulls_now=0.0)
    assert "not compared: moments" in drift_page("Shop", ["2013-01"], [moments], {})


def test_nothing_to_compare_with() -> None:
    page = drift_page("Shop", [], [], {})
    assert "There is no partition before this one" in page
    assert "<table>" not in page
