"""
The typed results in a step's receipt: one model for each step, distinguished by the field ``step``.

Steps write these models and readers get them from ``Receipt.results_of``, never from the JSON. Numbers are rounded when
they are written. Values of single rows are never among them.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from include.contract.document import LeanDocument, Scalar
from include.contract.measures import (
    CalibrationBin,
    ColumnDriftSummary,
    Dropped,
    FeatureEvidence,
    FeatureImportance,
    GateResult,
    Interval,
    JoinSummary,
    LeakMoment,
    Metrics,
    ResamplingDescription,
    Share,
    SliceMetrics,
)
from include.contract.model_files import FileDigest, SignatureColumns
from include.contract.step_names import StepName


class IngestResults(LeanDocument):
    """One source's partition was read."""

    step: Literal[StepName.INGEST] = StepName.INGEST
    source_digest: str
    """``sha256:…`` of what was fetched: the file's bytes, or the rows that a query returned."""
    ignored_columns: tuple[str, ...]
    """Columns of the source that the spec does not name."""


class ValidateResults(LeanDocument):
    """Every source of a partition passed; what was still wrong with single rows, or only warns."""

    step: Literal[StepName.VALIDATE] = StepName.VALIDATE
    broken: dict[str, dict[str, int]]
    """By source, all of them: how many rows break each broken rule; 1 for a rule of the partition as a whole."""


class ProfileResults(LeanDocument):
    """How far a partition drifted from those before it."""

    step: Literal[StepName.PROFILE] = StepName.PROFILE
    compared_with: tuple[str, ...]
    """Partitions, oldest first; none where there is nothing before."""
    columns_drifting: int
    drifting: tuple[ColumnDriftSummary, ...]
    """The first ten of them, the greatest drift first."""


class TargetCount(LeanDocument):
    """What the target is in one partition."""

    name: str
    positive: int
    """Rows whose target is 1."""
    share: Share
    """Of all rows."""


class FeaturesResults(LeanDocument):
    """One partition of features, and what it shows of each of them."""

    step: Literal[StepName.FEATURES] = StepName.FEATURES
    feature_set: str
    """Name of the features table."""
    features: tuple[str, ...]
    """Declared features, in the order of the spec."""
    target: TargetCount
    joins: tuple[JoinSummary, ...]
    """In the order in which they were made."""
    leak_test: tuple[LeakMoment, ...]
    """Moments at which no feature knew more than was known."""
    selection: dict[str, FeatureEvidence]
    """By feature."""
    report: str
    """Key of the report."""


class TrainingWindow(LeanDocument):
    """Partitions of one training, split by time, oldest first."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    """On which the search compares."""
    test: tuple[str, ...]
    """The holdout: neither fit nor search use it."""

    @property
    def fit(self) -> tuple[str, ...]:
        """Partitions on which the final model is fitted: all that come before the holdout."""
        return self.train + self.validation

    @property
    def partitions(self) -> tuple[str, ...]:
        """All of them."""
        return self.fit + self.test


class FeaturesUsed(LeanDocument):
    """Which features a model was fitted on."""

    table: str
    """Name of the features table."""
    kept: tuple[str, ...]
    """In the model's order."""
    dropped: tuple[Dropped, ...]


class TargetShares(LeanDocument):
    """Share of ones by role of the partitions."""

    train: Share
    validation: Share


class TargetUsed(LeanDocument):
    """What a model was fitted to predict."""

    name: str
    positive_class: Scalar | None
    """The class whose probability is predicted; None for a model that predicts numbers."""
    shares: TargetShares


class TrialSummary(LeanDocument):
    """One set of parameters of a search, fitted on train and measured on validation."""

    number: int
    """From 1."""
    parameters: dict[str, Scalar]
    metrics: dict[str, float]
    seconds: float


class SearchSummary(LeanDocument):
    """A search for parameters."""

    metric: str
    """By which the trials are compared."""
    trials: tuple[TrialSummary, ...]
    planned: int
    """How many trials were to be made."""
    budget_hit: bool
    """Whether time ran out before all of them had begun: then the result depends on the machine."""
    best: int
    """Number of the best trial."""


class Provenance(LeanDocument):
    """Identities of the receipts behind one partition of the features table."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    partition: str
    features: str
    """Of the features step."""
    # By alias: pydantic's models have a method 'validate'.
    validations: tuple[str, ...] = Field(alias="validate")
    """Of the validate step, for each table that the features came from."""


class TrainResults(LeanDocument):
    """One fitted model in one finished MLflow run."""

    step: Literal[StepName.TRAIN] = StepName.TRAIN
    run_id: str
    """The MLflow run."""
    run_url: str
    experiment: str
    window: TrainingWindow
    features: FeaturesUsed
    target: TargetUsed
    parameters: dict[str, Scalar]
    """Of the final model."""
    search: SearchSummary
    signature: SignatureColumns
    files: dict[str, FileDigest]
    """Files among the run's artifacts by path: ``model/model.skops``, ``model/MLmodel``, ``golden/golden.json``."""
    evidence: tuple[Provenance, ...]
    """One for each partition of the window, oldest first."""
    seconds: dict[str, float]
    """Where the time went."""


class ChampionCompared(LeanDocument):
    """The champion that a model was compared with."""

    version: int | None
    run_id: str
    compared: bool
    """Whether it could predict the same rows."""
    why: str
    """Why not; empty where it could."""
    saw: tuple[str, ...]
    """Test partitions that it was fitted on, where it does too well."""


ReportKind = Literal["html", "markdown", "json"]


class EvaluateResults(LeanDocument):
    """A model against a baseline and the champion, on the same rows that none of them was fitted on."""

    step: Literal[StepName.EVALUATE] = StepName.EVALUATE
    passed: bool
    """Whether all gates passed."""
    promote: bool
    """The same, as the decision: whether the model may be promoted."""
    reasons: tuple[str, ...]
    """A sentence for each gate that did not pass."""
    gates: tuple[GateResult, ...]
    metrics: dict[str, Metrics]
    """Of ``model``, ``baseline``, ``prior`` and, where it was compared, ``champion``."""
    differences: dict[str, Metrics]
    """The model's metrics less those of ``baseline`` and, where it was compared, ``champion``."""
    intervals: ResamplingDescription
    champion: ChampionCompared | None
    """None where there is no champion yet, or it is this model."""
    baseline: str
    """What the baseline predicts, in words."""
    slices: dict[str, tuple[SliceMetrics, ...]]
    """By column, the largest slice first."""
    calibration: tuple[CalibrationBin, ...]
    """By rising probability."""
    importance: tuple[FeatureImportance, ...]
    """The most important feature first."""
    run_id: str
    """The MLflow run of the model."""
    test: tuple[str, ...]
    """Partitions of the rows."""
    reports: dict[ReportKind, str]
    """Keys of the reports, by kind."""


class GoldenProof(LeanDocument):
    """A fresh process predicted the golden rows as the training had done."""

    golden_rows: int
    direct: bool
    """Whether it predicts without scikit-learn's checks of a table."""


class PackageResults(LeanDocument):
    """A model as a sealed bundle and a registered version."""

    step: Literal[StepName.PACKAGE] = StepName.PACKAGE
    model: str
    """Name of the registered model."""
    version: int
    digest: str
    """``sha256:…`` of the bundle."""
    evidence: str
    """Key of the document with the version's provenance."""
    proof: GoldenProof
    gates: tuple[GateResult, ...]
    artifact: str | None = None
    """Reference of the OCI artifact; None where the installation has no registry for them."""
    push_seconds: float | None = None


class DeployResults(LeanDocument):
    """A version that has the traffic and is champion."""

    step: Literal[StepName.DEPLOY] = StepName.DEPLOY
    model: str
    version: int
    digest: str
    """``sha256:…`` of the bundle."""
    before: int | None
    """Version of the champion until then."""
    public_url: str
    ledger: str
    """Key of the ledger's entry."""
    bundle_by: str | None = None
    """How the bundle got into the pods; None for a server on the same machine."""


class ChampionUsed(LeanDocument):
    """The version that was champion as of a partition's beginning."""

    model: str
    version: int
    digest: str
    """``sha256:…`` of its bundle."""
    learned_up_to: str
    """Last partition of its training window."""
    promotion: int
    """Number of the ledger's entry that made it champion."""


class ObservedQuality(LeanDocument):
    """How good predictions turned out to be; no gate and no promotion depends on it."""

    target: str
    rows: int
    positive: int
    """Rows whose target is 1."""
    positive_rate: Share
    roc_auc: Interval
    intervals: ResamplingDescription
    note: str


class ScoreResults(LeanDocument):
    """Predictions of one partition."""

    step: Literal[StepName.SCORE] = StepName.SCORE
    champion: ChampionUsed
    rows: int
    mean_score: float | None
    """None without rows."""
    observed: ObservedQuality | None
    """None where the target of a row is not known yet."""


Results = Annotated[
    IngestResults
    | ValidateResults
    | ProfileResults
    | FeaturesResults
    | TrainResults
    | EvaluateResults
    | PackageResults
    | DeployResults
    | ScoreResults,
    Field(discriminator="step"),
]
