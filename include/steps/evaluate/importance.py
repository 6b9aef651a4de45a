"""
Permutation importance: the drop in ROC AUC when one feature's values are shuffled among the rows.

Breiman, "Random Forests" (2001), section 10; here on one shuffle of a sample of the holdout.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from include.contract.measures import FeatureImportance
from include.modeling.metrics import Counts, Numbers, point_metrics

SAMPLE_ROWS = 2_000
METRIC = "roc_auc"


def permutation_importance(
    features: pd.DataFrame, target: Counts, predict: Callable[[pd.DataFrame], Numbers], seed: int
) -> list[FeatureImportance]:
    """
    Importance of each feature on a seeded sample, the greatest first; empty where the sample has one class only.

    :param features: one row per row of the holdout, the model's features only.
    :param target: int64 of shape (rows,): 0 or 1.
    :param predict: the probability of a 1 for each row of a frame.
    """
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.choice(len(features), min(SAMPLE_ROWS, len(features)), replace=False))
    sample, truth = features.iloc[chosen].reset_index(drop=True), target[chosen]
    # All shuffled copies are predicted in one call: the fixed cost of a call exceeds that of its rows.
    copies = [sample]
    for name in sample.columns:
        order = generator.permutation(len(sample))
        copies.append(sample.assign(**{str(name): sample[name].take(order).to_numpy(copy=True)}))
    # The shuffled columns come from NumPy, which has no type for pandas' strings: the model expects those of its fit.
    probabilities = predict(pd.concat(copies, ignore_index=True).astype(sample.dtypes.to_dict()))
    scores = [point_metrics(truth, part)[METRIC] for part in np.split(probabilities, len(copies))]
    if not np.isfinite(scores[0]):
        return []
    importances = [
        FeatureImportance(feature=str(name), drop=round(scores[0] - score, 6))
        for name, score in zip(sample.columns, scores[1:], strict=True)
    ]
    return sorted(importances, key=lambda one: (-one.drop, one.feature))
