"""
The experiment for leaks: features computed again from only what was known at a moment must be the same.

At a sampled moment everything that was not known yet is taken away: cells, rows and what joins bring. Then joins and
feature function run again. Each row whose prediction was made by that moment must keep its features, for it may use
nothing that became known later. Which moments are drawn decides what can be seen: see
``include.steps.features.leak_moments``.
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
"""Features of a joined frame, by its index; the text tells an error message what is special about the call."""


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

    :param whole: the sources joined with everything that is known today.
    :param computed: the features of its rows, by the same index labels.
    :param where: names the partition and the function in messages, and seeds the sample: a second run draws the same.
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
    """
    null, null_again = whole.isna().to_numpy(), again.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(whole) and pd.api.types.is_numeric_dtype(again):
        first = whole.to_numpy(dtype=np.float64, na_value=np.nan)
        second = again.to_numpy(dtype=np.float64, na_value=np.nan)
        scale = np.maximum(1.0, np.maximum(np.abs(first), np.abs(second)))
        apart = np.abs(first - second) > tolerance * scale
    else:
        apart = (whole.astype(object).to_numpy() != again.astype(object).to_numpy()).astype(bool)
    found: NDArray[np.bool_] = np.where(null | null_again, null != null_again, apart)
    return found


def _compare(features: FeatureSetSpec, whole: pd.DataFrame, again: pd.DataFrame, where: str) -> None:
    counts: dict[str, int] = {}
    for name in features.columns:
        if whole[name].equals(again[name]):
            continue  # the usual case, and many times as fast as looking at each row
        found = int(differing(whole[name], again[name], features.leak_test.tolerance).sum())
        if found:
            counts[name] = found
    if not counts:
        return
    told = "; ".join(f"'{name}' in {count} ({_lineage(features.columns[name])})" for name, count in _worst(counts))
    message = (
        f"{where}: features know more than could be known. Computed from only what was known then, of {len(whole)} "
        f"rows differ: {told}. All that differ: {listed(counts)}. Use other rows only once their values are known, or "
        "correct in the spec when the columns become known."
    )
    raise LeakError(message)


def _worst(counts: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]


def _lineage(feature: FeatureSpec) -> str:
    told = f"of {', '.join(feature.of)}" if feature.of else ""
    history = f"history of {', '.join(feature.history_of)}" if feature.history_of else ""
    return "; ".join(part for part in (told, history) if part)
