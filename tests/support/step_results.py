"""The smallest valid results of each step, for receipts in tests that are about something else."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from include.contract.results import Results
from include.contract.step_names import StepName

_RESULTS: TypeAdapter[Results] = TypeAdapter(Results)
_INTERVALS = {"unit": "day", "units": 30, "resamples": 20, "confidence": 0.95}
_SIGNATURE: dict[str, Any] = {"inputs": [], "outputs": []}
_VERSION = {"model": "lateness", "version": 1, "digest": "sha256:0"}
LEAST: Mapping[StepName, dict[str, Any]] = {
    StepName.INGEST: {"source_digest": "sha256:0", "ignored_columns": []},
    StepName.VALIDATE: {"broken": {}},
    StepName.PROFILE: {"compared_with": [], "columns_drifting": 0, "drifting": []},
    StepName.FEATURES: {
        "feature_set": "lateness_v1", "features": [], "target": {"name": "late", "positive": 0, "share": 0.0},
        "joins": [], "leak_test": [], "selection": {}, "report": "reports/features.json",
    },
    StepName.TRAIN: {
        "run_id": "r", "run_url": "http://mlflow/r", "experiment": "toy",
        "window": {"train": ["2024-03"], "validation": ["2024-04"], "test": ["2024-05"]},
        "features": {"table": "lateness_v1", "kept": [], "dropped": []},
        "target": {"name": "late", "positive_class": 1, "shares": {"train": 0.5, "validation": 0.5}},
        "parameters": {}, "signature": _SIGNATURE, "files": {}, "evidence": [], "seconds": {},
        "search": {"metric": "roc_auc", "trials": [], "planned": 1, "budget_hit": False, "best": 1},
    },
    StepName.EVALUATE: {
        "passed": True, "promote": True, "reasons": [], "gates": [], "metrics": {}, "differences": {},
        "intervals": _INTERVALS, "champion": None, "baseline": "The share of ones.", "slices": {}, "calibration": [],
        "importance": [], "run_id": "r", "test": ["2024-05"], "reports": {"html": "reports/model_card.html"},
    },
    StepName.PACKAGE: {
        **_VERSION, "evidence": "bundles/evidence.json", "proof": {"golden_rows": 1, "direct": True}, "gates": [],
    },
    StepName.DEPLOY: {**_VERSION, "before": None, "public_url": "http://127.0.0.1:1", "ledger": "ledger/1.json"},
    StepName.SCORE: {
        "champion": {**_VERSION, "learned_up_to": "2024-04", "promotion": 1}, "rows": 0, "mean_score": None,
        "observed": None,
    },
}  # fmt: skip
OBSERVED: Mapping[str, Any] = {
    "target": "late", "rows": 1, "positive": 0, "positive_rate": 0.0, "intervals": _INTERVALS, "note": "Observed.",
}  # fmt: skip
"""Observed quality of a score step, but for ``roc_auc``."""


def least_document(step: str, **changes: Any) -> dict[str, Any]:
    """Results of a step as a receipt holds them, with some fields replaced."""
    return {**LEAST[StepName(step)], **changes, "step": StepName(step).value}


def least(step: str, **changes: Any) -> Results:
    """The same as a model."""
    return _RESULTS.validate_python(least_document(step, **changes))
