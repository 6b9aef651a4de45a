"""The document beside a sealed bundle with its version's provenance and evaluation."""

from typing import Literal

from include.contract.document import Document
from include.contract.measures import GateResult
from include.contract.receipt import TableState
from include.contract.results import Provenance


class ReceiptIdentities(Document):
    """Identities of the receipts of one run."""

    train: str
    evaluate: str


class TrainedOn(Document):
    """What a model was trained from."""

    partition: str
    """Last partition of the training window: the model may have been fitted on any of its rows."""
    tables: tuple[TableState, ...]
    """The features table's partitions, oldest first."""
    features: tuple[str, ...]
    """In the model's order."""
    receipts: ReceiptIdentities
    validation: tuple[Provenance, ...]
    """For each partition, by which receipts it was built and validated."""
    code: str
    """Digest of the code that trained it."""
    gates: tuple[GateResult, ...]
    reports: tuple[str, ...]
    """Keys of the evaluation's reports."""


class ModelEvidence(Document):
    """The evidence of one version."""

    format: Literal[1] = 1
    bundle: str
    """``sha256:…`` of the bundle."""
    run: str
    """The run that packaged it."""
    trained: TrainedOn
    files: dict[str, str]
    """SHA-256 of each file of the bundle, by name."""
    artifact: str | None = None
    """Reference of the OCI artifact; None where the installation has no registry for them."""
