"""The model of parcels: a line."""

from collections.abc import Mapping

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler


def build_pipeline(parameters: Mapping[str, object]) -> Pipeline:
    """Build the unfitted model; it has no parameters but the seed."""
    line = LogisticRegression(random_state=int(str(parameters.get("seed", 7))))
    return Pipeline([("scale", StandardScaler()), ("line", line)])
