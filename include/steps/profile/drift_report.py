"""The drift of a partition as one self-contained HTML page."""

from collections.abc import Mapping, Sequence

from include.modeling.drift import MODERATE, STRONG, ColumnDrift
from include.pages.rendering import rendered

_HEIGHT_PIXELS = 36
_BAR_PIXELS = 12


def drift_page(
    title: str, compared_with: Sequence[str], drifts: Sequence[ColumnDrift], meanings: Mapping[str, str]
) -> str:
    """
    Render the page: one row for each column, the greatest drift first.

    :param compared_with: the partitions before; if empty, the page states that there are none.
    :param drifts: sorted as :func:`include.modeling.drift.table_drift` sorts them.
    :param meanings: the description of each column in the spec.
    """
    return rendered(
        "steps/profile/drift.html.jinja",
        title=title,
        compared_with=compared_with,
        drifts=drifts,
        meanings=meanings,
        moderate=MODERATE,
        strong=STRONG,
        height=_HEIGHT_PIXELS,
        bar=_BAR_PIXELS,
    )
