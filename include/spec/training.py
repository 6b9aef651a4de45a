"""The model, its hyperparameter search, the split by time, and the gates before promotion."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.contract.document import Scalar
from include.spec.strict import Duration, FunctionName, Name, Share, StrictModel

Metric = Literal["roc_auc", "average_precision", "log_loss", "brier_score", "expected_calibration_error"]
"""Metrics that the evaluate step reports; the last three are better when smaller."""
SMALLER_IS_BETTER = frozenset({"log_loss", "brier_score", "expected_calibration_error"})


class Choice(StrictModel):
    """A parameter that is drawn from a list."""

    choices: Annotated[tuple[Scalar, ...], Field(min_length=1)]
    """Its values, all with the same probability."""


class FloatRange(StrictModel):
    """A parameter that is drawn from a range of numbers."""

    low: float
    """Smallest value."""
    high: float
    """Largest value; greater than ``low``."""
    log: bool = False
    """Whether it is drawn uniformly on a logarithmic scale; else on a linear one."""

    @model_validator(mode="after")
    def _ordered(self) -> "FloatRange":
        if self.high <= self.low or (self.log and self.low <= 0):
            message = f"low is {self.low} and high is {self.high}; high must be greater, and low above 0 for log"
            raise ValueError(message)
        return self


class SearchSpec(StrictModel):
    """A seeded random search for parameters, with a budget of trials and of time."""

    trials: int = Field(ge=1, le=500)
    """Number of parameter sets to fit; the first is always ``model.parameters`` unchanged."""
    seconds: Duration
    """No new trial starts after this time; the best of those that have finished is taken."""
    metric: Metric = "roc_auc"
    """Measured on the validation partitions."""
    space: dict[str, Choice | FloatRange] = Field(default_factory=dict)
    """Parameters to draw, by name."""


class SplitSpec(StrictModel):
    """A training window, counted in partitions and split by time: train, then validation, then test."""

    window: int = Field(ge=3)
    """Partitions in the window, unless the run's parameter ``window`` sets another number."""
    validation: int = Field(default=1, ge=1)
    """Partitions before the holdout, on which the search compares parameter sets."""
    test: int = Field(default=1, ge=1)
    """Last partitions of the window: the holdout, which neither fit nor search use."""

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> "SplitSpec":
        if self.window <= self.validation + self.test:
            message = (
                f"window is {self.window}; validation {self.validation} and test {self.test} leave nothing to train on"
            )
            raise ValueError(message)
        return self


class GateSpec(StrictModel):
    """A condition for promotion, measured on the holdout."""

    metric: Metric
    """The metric that is compared."""
    at_least: float | None = None
    """Smallest allowed value."""
    at_most: float | None = None
    """Largest allowed value."""
    better_than: Literal["baseline", "champion"] | None = None
    """Compare with the naive baseline, or with the champion; the latter passes if there is no champion."""
    by: float = 0.0
    """How much better the model must be; a negative number allows it to be that much worse."""

    @model_validator(mode="after")
    def _one_condition(self) -> "GateSpec":
        if sum(value is not None for value in (self.at_least, self.at_most, self.better_than)) != 1:
            message = "a gate has exactly one of at_least, at_most, better_than"
            raise ValueError(message)
        return self


class SliceGateSpec(StrictModel):
    """No slice of the holdout may be worse than this."""

    metric: Metric
    """The metric that is compared."""
    at_least: float | None = None
    """Smallest allowed value in each slice."""
    at_most: float | None = None
    """Largest allowed value in each slice."""
    rows_at_least: int = Field(default=500, ge=1)
    """Slices with fewer rows are reported, but not compared."""


class EvaluationSpec(StrictModel):
    """How a model is evaluated before it may be promoted."""

    gates: Annotated[tuple[GateSpec, ...], Field(min_length=1)]
    """Conditions for promotion; all must hold."""
    slices: tuple[str, ...] = ()
    """Columns of the base source by whose values metrics are reported; ``month`` is always among them."""
    slice_gates: tuple[SliceGateSpec, ...] = ()
    """Conditions that hold in every slice that is large enough."""
    bootstrap: int = Field(default=200, ge=20)
    """Number of seeded bootstrap resamples for each confidence interval."""
    confidence: Share = 0.95
    """Confidence level of the intervals."""


class ModelSpec(StrictModel):
    """The model: a function of the project that builds a scikit-learn Pipeline."""

    name: Name
    """Name of the registered model."""
    description: str
    """What kind of model it is, for the model registry."""
    function: FunctionName
    """``module:function`` in the project's folder: parameters in, unfitted Pipeline out."""
    seed: int = 7
    """Random seed of the model and of the search: the same rows and seed give the same model."""
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    """The parameters of the first trial of the search."""
    search: SearchSpec
    """How parameters are found."""
    golden_rows: int = Field(default=20, ge=1, le=1000)
    """Rows of the test partitions whose predictions are stored and replayed after packaging and deployment."""
