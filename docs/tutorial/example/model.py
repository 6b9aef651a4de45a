"""The model of late parcels."""

from collections.abc import Mapping

from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder


def build_pipeline(parameters: Mapping[str, object]) -> Pipeline:
    """
    Build the unfitted model.

    :param parameters: ``learning_rate`` and ``seed``.
    """
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    texts = ColumnTransformer(
        [("texts", encoder, make_column_selector(dtype_include=["object", "string"]))], remainder="passthrough"
    )
    trees = HistGradientBoostingClassifier(
        learning_rate=float(str(parameters.get("learning_rate", 0.1))), random_state=int(str(parameters["seed"]))
    )
    return Pipeline([("texts", texts), ("trees", trees)])
