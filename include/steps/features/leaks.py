"""
The leak test: features that are computed again from only what was known at a moment must be the same.

At a sampled moment everything that was not known yet is removed: cells become null, rows that did not exist yet are
dropped. Then joins and feature function run again. Each row whose prediction was made by that moment must keep its
features, as they may use nothing that became known later. The moments decide which leaks can be detected: see
``include.steps.features.leak_moments`` and ADR 9.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.contract.measures import LeakMoment
from include.errors import LeakError, listed
from include.spec.features import FeatureSetSpec, FeatureSpec
from include.steps.features.joins import Joined, joined
from include.steps.features.leak_moments import Timeline
from include.steps.features.sources import SourceRows

Compute = Callable[[pd.DataFrame, str], pd.DataFrame]
"""Features of a joined frame, by its index; the text states in error messages what is special about the call."""


def refuse_leaks(
    features: FeatureSetSpec,
    sources: Mapping[str, SourceRows],
    whole: Joined,
    computed: pd.DataFrame,
    compute: Compute,
    where: str,
) -> tuple[LeakMoment, ...]:
    """
    Recompute the features at sampled moments and compare.

    :param sources: the base and all joined sources, by name.
    :param whole: the sources joined with everything that is known today.
    :param computed: the features of its rows, by the same index labels.
    :param compute: the project's feature function.
    :param where: partition and function, for messages; the seed of the sample, so that a retry draws the same moments.
    :return: a report for each moment, in order.
    :raises LeakError: naming each feature that differs, how many rows differ and the moment.
    """
    base = sources[features.base]
    timeline = Timeline(features, base)
    predicted = whole.frame[features.prediction_time]
    reports = []
    for moment in timeline.sample(features.leak_test.moments, zlib.crc32(where.encode())):
        at = moment.isoformat()
        then = {name: source.known_at(moment) for name, source in sources.items()}
        known = joined(features, then, whole.matches)
        again = compute(known.frame, f" (given only what was known at {at})")
        rows = computed.index[predicted <= moment]
        gone = rows.difference(again.index)
        if len(gone):
            message = f"{where}: {len(gone)} of {len(rows)} rows whose prediction was made by {at} were not known then."
            raise LeakError(
                message + " Declare the rows of the base as known when predictions are made, and join left."
            )
        _compare(features, computed.loc[rows], again.loc[rows], f"{where}, at {at}")
        reports.append(timeline.report(moment, len(rows)))
    return tuple(reports)


def differing(whole: pd.Series, again: pd.Series, tolerance: float) -> NDArray[np.bool_]:
    """
    Which rows differ: a null from a value, a text from another, numbers by more than the tolerance.

    :param tolerance: relative to the greater of the two numbers, and to 1 where both are smaller.
    :return: shape (rows,).
    """
    null, null_again = whole.isna().to_numpy(), again.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(whole) and pd.api.types.is_numeric_dtype(again):
        first = whole.to_numpy(dtype=np.float64, na_value=np.nan)
        second = again.to_numpy(dtype=np.float64, na_value=np.nan)
        # pandas updates rolling sums from row to row, so that rows before a window change the last digits of its sum.
        scale = np.maximum(1.0, np.maximum(np.abs(first), np.abs(second)))
        apart = np.abs(first - second) > tolerance * scale
    else:
        apart = (whole.astype(object).to_numpy() != again.astype(object).to_numpy()).astype(bool)
    differs: NDArray[np.bool_] = np.where(null | null_again, null != null_again, apart)
    return differs


def _compare(features: FeatureSetSpec, whole: pd.DataFrame, again: pd.DataFrame, where: str) -> None:
    counts: dict[str, int] = {}
    for name in features.columns:
        if whole[name].equals(again[name]):
            continue  # the usual case, and many times as fast as a comparison of each row
        count = int(differing(whole[name], again[name], features.leak_test.tolerance).sum())
        if count:
            counts[name] = count
    if not counts:
        return
    worst = "; ".join(f"'{name}' in {count} ({_lineage(features.columns[name])})" for name, count in _worst(counts))
    message = (
        f"{where}: features use values that were not known yet. Computed again from only what was known then, of "
        f"{len(whole)} rows these differ: {worst}. All features that differ: {listed(counts)}. Use values of other "
        "rows only from when they are known, or correct in the spec when the columns become known."
    )
    raise LeakError(message)


def _worst(counts: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]


def _lineage(feature: FeatureSpec) -> str:
    own = f"of {', '.join(feature.of)}" if feature.of else ""
    history = f"history of {', '.join(feature.history_of)}" if feature.history_of else ""
    return "; ".join(part for part in (own, history) if part)
