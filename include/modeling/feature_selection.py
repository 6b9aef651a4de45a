"""
Feature selection: which features are constant, mostly null or irrelevant, on the evidence of each partition.

The features table keeps every declared feature, so that its columns are the same in all partitions. The features step
writes the evidence of each feature into its receipt; training drops the features against which the evidence of its
partitions as a whole speaks.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.contract.measures import Dropped, FeatureEvidence, Verdict
from include.spec.features import SelectionSpec

BINS = 20


def evidence(
    features: pd.DataFrame, target: NDArray[np.int64], selection: SelectionSpec, seed: int
) -> dict[str, FeatureEvidence]:
    """
    The evidence of one partition on each feature.

    :param features: one row per row of the partition.
    :param target: shape (rows,), 0 or 1.
    :param seed: of the sample on which relevance is measured.
    """
    rows = len(features)
    sample = np.arange(rows)
    if rows > selection.sample_rows:
        sample = np.sort(np.random.default_rng(seed).choice(rows, selection.sample_rows, replace=False))
    by_feature = {}
    for name in features.columns:
        column = features[name]
        nulls, distinct = int(column.isna().sum()), int(column.nunique())
        # A single value beside nulls is no constant: whether it is there may carry information.
        constant = distinct == 0 or (distinct == 1 and not nulls)
        relevance = 0.0 if constant else mutual_information(column.iloc[sample], target[sample])
        verdict, why = _verdict(selection, rows=rows, nulls=nulls, constant=constant, relevance=relevance)
        by_feature[name] = FeatureEvidence(
            rows=rows,
            nulls=nulls,
            distinct=distinct,
            only_value=_fingerprint(column) if constant else None,
            relevance=round(relevance, 9),
            verdict=verdict,
            why=why,
        )
    return by_feature


def dropped_features(
    partitions: Sequence[Mapping[str, FeatureEvidence]], selection: SelectionSpec
) -> tuple[Dropped, ...]:
    """
    What to leave out of a training: the evidence of its partitions taken together, each by its rows.

    A feature that is constant in every partition but not with the same value is not constant in the window.

    :param partitions: evidence of each partition that the model is fitted on, as the features step wrote it; at least
        one. Partitions of the holdout must not be among them.
    """
    dropped = []
    for name in partitions[0]:
        seen = [by_feature[name] for by_feature in partitions]
        rows = sum(one.rows for one in seen)
        nulls = sum(one.nulls for one in seen)
        constant = len({one.only_value for one in seen}) == 1 and seen[0].only_value is not None
        # Constants with several values may distinguish partitions; their relevance within each is 0 all the same.
        varies = not constant and all(one.only_value is not None for one in seen)
        relevance = float("inf") if varies else sum(one.relevance * one.rows for one in seen) / max(rows, 1)
        verdict, why = _verdict(selection, rows=rows, nulls=nulls, constant=constant, relevance=relevance)
        if verdict is not Verdict.KEPT:
            dropped.append(Dropped(feature=name, verdict=verdict, why=why))
    return tuple(dropped)


def mutual_information(column: pd.Series, target: NDArray[np.int64]) -> float:
    """
    Mutual information of a feature with a binary target, in nats, at least 0.

    Numbers are cut at their vigintiles, and those that are one make a bin of their own; texts count as they are, nulls
    are one bin. The bias of the plug-in estimate is subtracted: Miller, "Note on the bias of information estimates"
    (1955), known as the Miller-Madow correction.

    :param column: one value per row; may hold nulls.
    :param target: shape (rows,), 0 or 1.
    """
    if len(column) == 0:
        return 0.0
    codes = _binned(column)
    counts = np.bincount(codes * 2 + target, minlength=2 * (int(codes.max()) + 1)).reshape(-1, 2)
    counts = counts[counts.sum(axis=1) > 0]
    total = len(column)
    shares = counts / total
    independent = shares.sum(axis=1, keepdims=True) * shares.sum(axis=0, keepdims=True)
    seen = shares > 0
    information = float((shares[seen] * np.log(shares[seen] / independent[seen])).sum())
    by_chance = (len(counts) - 1) * (int((counts.sum(axis=0) > 0).sum()) - 1) / (2 * total)
    return max(0.0, information - by_chance)


def _binned(column: pd.Series) -> NDArray[np.int64]:
    """A code from 0 for each row; the highest one for nulls."""
    if not pd.api.types.is_numeric_dtype(column):
        codes = pd.factorize(column)[0].astype(np.int64)
        return np.where(codes < 0, codes.max(initial=-1) + 1, codes)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    null = np.isnan(values)
    if null.all():
        return np.zeros(len(values), dtype=np.int64)
    edges = np.unique(np.quantile(values[~null], np.linspace(0.0, 1.0, BINS + 1)[1:-1]))
    # Below, on and above each edge: a value that many rows share is an edge, and must not fall in with those below.
    codes = np.searchsorted(edges, values, side="left") + np.searchsorted(edges, values, side="right")
    return np.where(null, 2 * len(edges) + 1, codes).astype(np.int64)


def _verdict(
    selection: SelectionSpec, *, rows: int, nulls: int, constant: bool, relevance: float
) -> tuple[Verdict, str]:
    share = nulls / rows if rows else 1.0
    if selection.constant and constant:
        return Verdict.CONSTANT, f"one value in all {rows} rows" if nulls < rows else f"null in all {rows} rows"
    if share > selection.nulls_at_most:
        return (
            Verdict.MOSTLY_NULL,
            f"null in {share:.1%} of {rows} rows; nulls_at_most is {selection.nulls_at_most:.1%}",
        )
    reason = f"mutual information with the target {relevance:.5f} nats, of {selection.relevance_at_least:g} at least"
    if relevance < selection.relevance_at_least:
        return Verdict.IRRELEVANT, reason
    return Verdict.KEPT, reason


def _fingerprint(column: pd.Series) -> str:
    values = column.dropna()
    text = repr(values.iloc[0].item() if hasattr(values.iloc[0], "item") else values.iloc[0]) if len(values) else "null"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
