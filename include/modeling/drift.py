"""
Drift: how far the values of a column moved between two sets of rows.

The population stability index with its thresholds of 0.1 and 0.25 is that of Siddiqi, "Credit Risk Scorecards" (2006);
for numbers the two-sample Kolmogorov-Smirnov test is measured beside it (``scipy.stats.ks_2samp``).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from include.contract.measures import ColumnDriftSummary, DriftKind, DriftLevel
from include.spec.sources import ColumnType

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Numbers = np.ndarray[Any, np.dtype[np.float64]]

MODERATE = 0.1
STRONG = 0.25
"""Population stability index from which a shift is moderate, and from which it is strong: a different population."""
_BINS = 10
_CATEGORIES = 50
_SHARE_AT_LEAST = 1e-4
"""An empty bin counts as this share: the index would be infinite otherwise."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One bin of a distribution: its share of the reference and of the partition, each from 0 to 1."""

    label: str
    reference: float
    current: float


@dataclass(frozen=True, kw_only=True)
class ColumnDrift:
    """One column's drift."""

    column: str
    kind: DriftKind
    """Columns of kind ``moments``, ``constant`` (such as the month) and ``empty`` are not compared."""
    nulls_before: float
    """Share of nulls in the reference, from 0 to 1."""
    nulls_now: float
    """Share of nulls in the partition, from 0 to 1."""
    psi: float | None = None
    """Population stability index, at least 0, over quantile bins of the reference or over categories."""
    ks: float | None = None
    """Kolmogorov-Smirnov statistic: greatest distance between the two distribution functions, from 0 to 1."""
    ks_p: float | None = None
    """Asymptotic p-value of that distance; with many rows even a small shift has a small one."""
    new_values: int | None = None
    """Categories that the reference does not have."""
    vanished_values: int | None = None
    """Categories that only the reference has."""
    bins: tuple[Bin, ...] = field(default=(), repr=False)

    @property
    def level(self) -> DriftLevel:
        """How much the column moved, by its :attr:`psi`; ``none`` where it was not compared."""
        if self.psi is None or self.psi < MODERATE:
            return "none"
        return "strong" if self.psi >= STRONG else "moderate"

    def summary(self) -> ColumnDriftSummary:
        """The drift as it is written down, without the bins."""
        return ColumnDriftSummary(
            column=self.column,
            kind=self.kind,
            level=self.level,
            psi=_rounded(self.psi),
            ks=_rounded(self.ks),
            ks_p=_rounded(self.ks_p),
            nulls_before=round(self.nulls_before, 6),
            nulls_now=round(self.nulls_now, 6),
            new_values=self.new_values,
            vanished_values=self.vanished_values,
        )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def table_drift(
    current: "pa.Table", references: "Sequence[pa.Table]", columns: dict[str, ColumnType]
) -> list[ColumnDrift]:
    """
    The drift of each column, the greatest first.

    :param current: one row per row of the partition.
    :param references: the partitions before it, each one table; at least one.
    :param columns: columns to compare, with their types.
    """
    drifts = [
        _column_drift(name, current.column(name), [table.column(name) for table in references], kind)
        for name, kind in columns.items()
    ]
    return sorted(drifts, key=lambda drift: (drift.psi is None, -(drift.psi or 0.0)))


def _column_drift(
    name: str, current: "pa.ChunkedArray", references: "list[pa.ChunkedArray]", kind: ColumnType
) -> ColumnDrift:
    import pyarrow as pa

    reference = pa.chunked_array([chunk for column in references for chunk in column.chunks], current.type)
    drift = ColumnDrift(
        column=name, kind="moments", nulls_before=_null_share(reference), nulls_now=_null_share(current)
    )
    if kind is ColumnType.TIMESTAMP:
        return drift  # each partition has moments of its own: they always differ
    before, now = reference.drop_null(), current.drop_null()
    if not len(before) or not len(now):
        return replace(drift, kind="empty")
    # A column that is constant in each partition names the partition (month, year): its values always differ.
    if all(_constant(column) for column in (current, *references)):
        return replace(drift, kind="constant")
    if kind in (ColumnType.STRING, ColumnType.BOOL) or _few_values(before):
        return _categories_drift(drift, before, now)
    return _numbers_drift(drift, _numbers(before), _numbers(now))


def _numbers_drift(drift: ColumnDrift, before: "Numbers", now: "Numbers") -> ColumnDrift:
    from scipy.stats import ks_2samp

    bins = _quantile_bins(before, now)
    # The default computes an exact p-value up to 10,000 rows and this one above: partitions would not be comparable.
    distance = ks_2samp(now, before, method="asymp")
    ks, ks_p = float(distance.statistic), float(distance.pvalue)
    return replace(drift, kind="numbers", psi=_psi(bins), ks=ks, ks_p=ks_p, bins=bins)


def _null_share(column: "pa.ChunkedArray") -> float:
    return column.null_count / len(column) if len(column) else 0.0


def _constant(column: "pa.ChunkedArray") -> bool:
    import pyarrow.compute as pc

    return bool(pc.count_distinct(column, mode="only_valid").as_py() <= 1)


def _few_values(column: "pa.ChunkedArray") -> bool:
    """Whether a column of numbers has so few values that most quantiles would be equal; then it is categories."""
    import pyarrow.compute as pc

    return bool(pc.count_distinct(column).as_py() <= 2 * _BINS)


def _numbers(column: "pa.ChunkedArray") -> "Numbers":
    import numpy as np

    return np.asarray(column.to_numpy(), dtype=np.float64)


def _quantile_bins(before: "Numbers", now: "Numbers") -> tuple[Bin, ...]:
    import numpy as np

    # np.quantile interpolates between neighbours: one infinite value would make edges infinite or NaN.
    finite = before[np.isfinite(before)]
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(finite) else np.zeros(1)
    counted = [
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) for values in (before, now)
    ]
    shares = [counts / counts.sum() for counts in counted]
    labels = [f"below {edges[0]:.6g}"]
    labels += [f"from {low:.6g} to {high:.6g}" for low, high in itertools.pairwise(edges)]
    labels.append(f"from {edges[-1]:.6g}")
    return tuple(
        Bin(label=label, reference=float(reference), current=float(current))
        for label, reference, current in zip(labels, *shares, strict=True)
    )


def _categories_drift(drift: ColumnDrift, before: "pa.ChunkedArray", now: "pa.ChunkedArray") -> ColumnDrift:
    old, new = _counts(before), _counts(now)
    kept = sorted(old, key=lambda value: (-old[value], value))[:_CATEGORIES]
    bins = [
        Bin(label=value, reference=old[value] / len(before), current=new.get(value, 0) / len(now)) for value in kept
    ]
    rest = (1 - sum(one.reference for one in bins), 1 - sum(one.current for one in bins))
    if max(rest) > _SHARE_AT_LEAST:
        bins.append(Bin(label="all others", reference=max(rest[0], 0.0), current=max(rest[1], 0.0)))
    return replace(
        drift,
        kind="categories",
        psi=_psi(bins),
        bins=tuple(bins),
        new_values=len(new.keys() - old.keys()),
        vanished_values=len(old.keys() - new.keys()),
    )


def _counts(column: "pa.ChunkedArray") -> dict[str, int]:
    return {str(entry["values"]): entry["counts"] for entry in column.value_counts().to_pylist()}


def _psi(bins: Sequence[Bin]) -> float:
    total = 0.0
    for one in bins:
        before, now = max(one.reference, _SHARE_AT_LEAST), max(one.current, _SHARE_AT_LEAST)
        total += (now - before) * math.log(now / before)
    return total
