"""The steps: one word each, the same in the CLI, the module, the task id and the metric."""

from collections.abc import Mapping
from enum import StrEnum


class StepName(StrEnum):
    """A step of a model's life."""

    INGEST = "ingest"
    VALIDATE = "validate"
    PROFILE = "profile"
    FEATURES = "features"
    TRAIN = "train"
    EVALUATE = "evaluate"
    PACKAGE = "package"
    DEPLOY = "deploy"
    SCORE = "score"


_USED_BY_ALL = frozenset({"tables", "objects", "metrics"})
STORES: Mapping[StepName, frozenset[str]] = {
    **dict.fromkeys(StepName, _USED_BY_ALL),
    StepName.TRAIN: _USED_BY_ALL | {"registry"},
    StepName.EVALUATE: _USED_BY_ALL | {"registry"},
    StepName.PACKAGE: _USED_BY_ALL | {"registry", "artifacts"},
    StepName.DEPLOY: _USED_BY_ALL | {"registry", "serving"},
}
"""The stores that a step may open, by their names in ``Stores``: its code digest covers these stores and no other."""

FUNCTIONS: Mapping[StepName, str] = {StepName.FEATURES: "feature_set", StepName.TRAIN: "model"}
"""The section of ``project.yaml`` whose ``function`` a step calls; other steps call none of a project's functions."""
