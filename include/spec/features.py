"""The feature set (joins, features, the columns that they come from) and the target."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from include.spec.sources import ColumnType
from include.spec.strict import FunctionName, Name, Share, StrictModel


class JoinSpec(StrictModel):
    """A source joined to the rows that predictions are made for; its columns are named ``<source>_<column>``."""

    source: str
    """Name of the joined source."""
    on: Annotated[dict[str, str], Field(min_length=1)]
    """Column or time of the base source -> column or time of the joined source."""
    how: Literal["left", "inner"] = "left"
    """``left`` keeps rows without a match; ``inner`` loses them, at most ``may_lose`` of them."""
    may_lose: Share = 0.0
    """Share of the base's rows that the join may lose before the step stops."""
    unmatched_at_most: Share = 1.0
    """Share of the base's rows that may stay without a match before the step stops."""


class FeatureSpec(StrictModel):
    """One feature: a column of the features table."""

    type: Literal[ColumnType.FLOAT64, ColumnType.INT64, ColumnType.STRING, ColumnType.BOOL] = ColumnType.FLOAT64
    """Type of the column."""
    meaning: str = Field(min_length=3)
    """What the value means, with its unit, in a sentence."""
    of: tuple[str, ...] = ()
    """Columns and times of its own row (``distance``, ``weather.temp``), all known when the prediction is made."""
    history_of: tuple[str, ...] = ()
    """Columns of *other* rows that it summarises; a value of another row counts only once it is known."""

    @model_validator(mode="after")
    def _has_lineage(self) -> "FeatureSpec":
        if not self.of and not self.history_of:
            message = "a feature needs at least one column that it comes from: name it in 'of' or 'history_of'"
            raise ValueError(message)
        return self


class SelectionSpec(StrictModel):
    """Which features a training leaves out."""

    constant: bool = True
    """Leave out a feature that has one value in all rows of the training window."""
    nulls_at_most: Share = 0.99
    """Leave out a feature with a greater share of nulls than this."""
    relevance_at_least: float = Field(default=0.0, ge=0.0)
    """Leave out a feature whose mutual information with the target (in nats, on a seeded sample) is below this."""
    sample_rows: int = Field(default=10_000, ge=100)
    """Number of rows in that sample."""


class LeakTestSpec(StrictModel):
    """The leak test: features are computed again from only what was known, and must be the same."""

    moments: int = Field(default=4, ge=1, le=50)
    """For how many distinct prediction times the features are computed again."""
    tolerance: float = Field(default=1e-9, ge=0.0)
    """Largest relative difference between two numbers that still counts as equal."""


class FeatureSetSpec(StrictModel):
    """The features of a project, as a versioned set."""

    name: Name
    """Name of the set, and of its table."""
    version: int = Field(ge=1)
    """Raise it when features are added, removed or computed in another way: a new version is a new table."""
    owner: str
    """The team that is responsible for the features."""
    description: str
    """What the features describe, in a sentence."""
    base: str
    """The source whose rows predictions are made for."""
    prediction_time: str
    """A time (or timestamp column) of the base source: when the prediction is made."""
    function: FunctionName
    """``module:function`` in the project's folder: joined frame in, key and feature columns out."""
    joins: tuple[JoinSpec, ...] = ()
    """Sources that are joined to the base."""
    columns: Annotated[dict[Name, FeatureSpec], Field(min_length=1)]
    """The features by name, in the order of the table."""
    selection: SelectionSpec = SelectionSpec()
    """Which features a training leaves out."""
    leak_test: LeakTestSpec = LeakTestSpec()
    """Size and tolerance of the leak test."""

    @property
    def table(self) -> str:
        """Name of the features table: each version has a table of its own."""
        # Models that were trained on the older version keep its table, which their rows can be read from again.
        return f"{self.name}_v{self.version}"


class TargetSpec(StrictModel):
    """What is predicted: yes or no, derived from a column of the base source."""

    name: Name
    """Name of the target; no column, time or feature has it."""
    meaning: str
    """What a yes means, in a sentence."""
    column: str
    """Column of the base source; known only after the prediction is made."""
    at_least: float
    """The smallest value of the column that means yes."""
    when_null: bool
    """Whether a row without a value in the column counts as yes."""
