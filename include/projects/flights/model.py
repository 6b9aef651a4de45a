"""The model of departure delays: gradient-boosted trees, with the encoding of categories inside the one Pipeline."""

from collections.abc import Mapping

from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

UNKNOWN_CATEGORY = -1
DEFAULTS: Mapping[str, object] = {
    "learning_rate": 0.1,
    "max_iter": 100,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 100,
    "l2_regularization": 1.0,
    "max_features": 1.0,
}


def build_pipeline(parameters: Mapping[str, object]) -> Pipeline:
    """
    Build the unfitted model.

    Texts become numbers in alphabetical order; categories that the training data lacks become -1. Nulls stay NaN, which
    the trees handle themselves.

    :param parameters: any of those in ``DEFAULTS``, with their meaning in scikit-learn's
        ``HistGradientBoostingClassifier``, and ``seed``.
    :return: takes a frame with the features of the spec, one row for each flight.
    :raises ValueError: if a parameter is none of these.
    """
    unknown = sorted(parameters.keys() - DEFAULTS.keys() - {"seed"})
    if unknown:
        message = f"model.parameters {', '.join(unknown)} are not known; known: {', '.join(sorted(DEFAULTS))}, seed."
        raise ValueError(message)
    chosen = {**DEFAULTS, **parameters}
    seed = chosen.pop("seed", 7)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=UNKNOWN_CATEGORY)
    # Texts have dtype object or string, by the version of pandas and by how the frame was read.
    texts = make_column_selector(dtype_include=["object", "string"])
    prepare = ColumnTransformer([("texts", encoder, texts)], remainder="passthrough", verbose_feature_names_out=False)
    # Early stopping would validate on random rows, and rows of one day are alike; the search does so on a later month.
    trees = HistGradientBoostingClassifier(early_stopping=False, random_state=seed, **chosen)
    return Pipeline([("prepare", prepare), ("trees", trees)])
