from typing import Any

import pytest
from pydantic import ValidationError

from include.contract.model_evidence import ModelEvidence
from include.contract.receipt import canonical_json

TABLE = {
    "kind": "table", "name": "toy/features/a_v1", "partition": "2024-01", "version": 3, "digest": "sha256:1",
    "row_count": 9,
}  # fmt: skip
WRITTEN: dict[str, Any] = {
    "bundle": "sha256:2",
    "run": "r",
    "trained": {
        "partition": "2024-05",
        "tables": [TABLE],
        "features": ["size"],
        "receipts": {"train": "t", "evaluate": "e"},
        "validation": [{"partition": "2024-01", "features": "f", "validate": ["v"]}],
        "code": "sha256:3",
        "gates": [{"gate": "roc_auc at least 0.6", "metric": "roc_auc", "found": "roc_auc is 0.7", "passed": True}],
        "reports": ["reports/card.html"],
    },
    "files": {"model.skops": "00"},
}
"""As it was written before it had a format number."""


def test_evidence_without_a_format_number_is_read() -> None:
    found = ModelEvidence.model_validate(WRITTEN)
    assert (found.format, found.trained.partition, found.artifact) == (1, "2024-05", None)
    assert found.trained.validation[0].validations == ("v",)


def test_evidence_comes_back_from_its_bytes() -> None:
    found = ModelEvidence.model_validate(WRITTEN | {"artifact": "registry/model@sha256:4"})
    assert ModelEvidence.model_validate_json(canonical_json(found.model_dump(mode="json"))) == found


def test_evidence_of_a_newer_format_is_refused() -> None:
    with pytest.raises(ValidationError, match="format"):
        ModelEvidence.model_validate(WRITTEN | {"format": 2})
