"""The steps: one word each, the same in the CLI, the module, the task id and the metric."""

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
