"""What is measured of models and data, as it is written down: numbers with their bounds, never a row's values."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from include.contract.document import LeanDocument

Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A part of a whole, from 0 to 1."""
DriftKind = Literal["numbers", "categories", "moments", "constant", "empty"]
DriftLevel = Literal["none", "moderate", "strong"]
INTERVAL_DECIMALS = 6


class Interval(LeanDocument):
    """A number and where it lies with the stated confidence; None where it is not defined, as with one class only."""

    value: float | None
    low: float | None
    """Lower end; None where no resample defines the number."""
    high: float | None

    def rounded(self) -> "Interval":
        """The same to six decimals, as it is written down."""
        ends = (self.value, self.low, self.high)
        value, low, high = (None if one is None else round(one, INTERVAL_DECIMALS) for one in ends)
        return Interval(value=value, low=low, high=high)

    def __str__(self) -> str:
        if self.value is None:
            return "not defined"
        spread = "" if self.low is None or self.high is None else f" [{self.low:.4f}, {self.high:.4f}]"
        return f"{self.value:.4f}{spread}"


Metrics = dict[str, Interval]
"""An interval by metric, ``roc_auc``."""


class ResamplingDescription(LeanDocument):
    """How intervals were made."""

    unit: str
    """What is drawn: ``day`` or ``block of rows``."""
    units: int
    """How many of them there are."""
    resamples: int
    confidence: Share
    """Part of the resamples that an interval holds."""


class GateResult(LeanDocument):
    """One condition for promotion, and whether the model meets it."""

    gate: str
    """The condition in words."""
    metric: str
    found: str
    """The measured value, in words."""
    passed: bool

    @property
    def reason(self) -> str:
        """Why the gate failed, in a sentence."""
        return f"Gate '{self.gate}' failed: {self.found}."


class SliceMetrics(LeanDocument):
    """A model's metrics on the rows of one value of one column."""

    value: str
    """The column's value as text; ``none`` for null."""
    rows: int
    positives: int
    """Rows whose target is 1."""
    metrics: Metrics


class CalibrationBin(LeanDocument):
    """One of ten bins of like size, by predicted probability."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    # By alias: 'from' is a keyword of Python.
    low: float = Field(alias="from")
    """Lowest probability in the bin."""
    high: float = Field(alias="to")
    """Highest probability in the bin."""
    rows: int
    predicted: Share
    """Mean predicted probability."""
    observed: Share
    """Share of ones."""


class FeatureImportance(LeanDocument):
    """How much one feature matters to a model."""

    feature: str
    drop: float
    """Drop in ROC AUC when the feature's values are shuffled, on a sample; negative where the model got better."""


class ColumnDriftSummary(LeanDocument):
    """How far one column moved from the partitions before."""

    column: str
    kind: DriftKind
    """``moments`` move by themselves and ``constant`` columns are the partition's own mark: neither is compared."""
    level: DriftLevel
    psi: float | None
    """Population stability index, at least 0; None where the column is not compared."""
    ks: float | None
    """Kolmogorov-Smirnov statistic: greatest distance between the two distribution functions, from 0 to 1."""
    ks_p: float | None
    """Asymptotic p-value of that distance, from 0 to 1."""
    nulls_before: Share
    nulls_now: Share
    new_values: int | None
    """Categories that the reference does not have."""
    vanished_values: int | None
    """Categories that only the reference has."""


class Verdict(StrEnum):
    """Why a feature is dropped, or that it is kept."""

    KEPT = "kept"
    CONSTANT = "constant"
    MOSTLY_NULL = "mostly_null"
    IRRELEVANT = "irrelevant"


class FeatureEvidence(LeanDocument):
    """What one partition shows of one feature."""

    rows: int
    nulls: int
    distinct: int
    """Distinct values; nulls are none."""
    only_value: str | None = None
    """Where all rows hold one value (or null): half of its SHA-256, to compare partitions without the value itself."""
    relevance: float
    """Mutual information with the target in nats, on the sample, bias-corrected; at least 0."""
    verdict: Verdict
    why: str
    """A sentence with the numbers."""


class Dropped(LeanDocument):
    """A feature that training leaves out."""

    feature: str
    verdict: Verdict
    why: str


class JoinSummary(LeanDocument):
    """What one join did to the rows."""

    source: str
    how: Literal["left", "inner"]
    rows_before: int
    rows_after: int
    unmatched: int
    """Rows without a match: kept with nulls by a left join, lost by an inner one."""
    unmatched_share: Share
    """Of the rows before the join."""


class LeakMoment(LeanDocument):
    """One moment of the leak test."""

    moment: str
    """ISO 8601, UTC."""
    rows_compared: int
    """Rows whose predictions were made by then."""
    predictions_before: int
    """Of these, how many were made within the hour before."""
    news_after: int
    """Cells' moments of becoming known within the hour after: what a history that looks too far would see."""
    histories: int
    """Kinds of history of which a row would change if it looked an hour too far."""
