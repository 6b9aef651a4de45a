"""Golden rows: rows of the holdout with the model's predictions, replayed wherever the model is loaded."""

from typing import TYPE_CHECKING

import numpy as np

from include.contract.receipt import Json, canonical_json
from include.packaging.files import Golden, GoldenTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray


def golden_sample(features: "pd.DataFrame", types: "Mapping[str, str]", *, count: int, seed: int) -> "pd.DataFrame":
    """
    A seeded sample of the rows that the model's signature allows, in their order.

    :param features: one row per row of the holdout, the model's features.
    :param types: MLflow's type of each column; ``long`` and ``boolean`` allow no null.
    :param count: how many rows; fewer if fewer are allowed.
    """
    strict = [name for name, kind in types.items() if kind in {"long", "boolean"}]
    allowed = np.flatnonzero(features[strict].notna().all(axis="columns").to_numpy())
    chosen = np.random.default_rng(seed).choice(allowed, size=min(count, len(allowed)), replace=False)
    sample = features.iloc[np.sort(chosen)].reset_index(drop=True)
    # One null among the partition's other rows makes a whole column float64; these rows have none.
    return sample.astype({name: "int64" if types[name] == "long" else "bool" for name in strict})


def golden_bytes(sample: "pd.DataFrame", predictions: "NDArray[np.float64]") -> bytes:
    """
    The bytes of ``golden.json``.

    :param sample: one row per golden row.
    :param predictions: float64 of shape (rows, classes), each from 0 to 1.
    """
    rows = GoldenTable(columns=[str(name) for name in sample.columns], data=json_rows(sample))
    return canonical_json(_document(rows, predictions))


def json_rows(frame: "pd.DataFrame") -> list[list[object]]:
    """Rows as JSON can hold them: NaN becomes null, NumPy's numbers become Python's."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [[value.item() if hasattr(value, "item") else value for value in row] for row in plain.to_numpy().tolist()]


def _document(rows: GoldenTable, predictions: "NDArray[np.float64]") -> Json:
    return Golden(rows=rows, predictions=predictions.tolist()).model_dump(mode="json")
