"""Predictions of the served model for real rows, as any client requests them: one HTTP request each."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from include.contract.layout import Layer, bundle_prefix, table_name
from include.spec.project import ProjectSpec
from include.stores.installation import Stores
from local_platform import loopback
from local_platform.errors import JobFailedError

POLL_SECONDS = 0.5
DESCRIBED = ("carrier", "flight", "origin", "dest")
"""Columns by which a person recognises a flight."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """The model that is served."""

    model: str
    version: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One row, the predicted probability, and the observed target."""

    row: str
    target: str
    """Name of the target column."""
    probability: float
    observed: bool


def identify(url: str, retry_seconds: float = 0.0) -> Identity:
    """
    Request the identity of the served model.

    :param retry_seconds: how long to retry while the model server does not respond.
    :raises JobFailedError: if it serves no model.
    """
    deadline = time.monotonic() + retry_seconds
    client = loopback.client(url)
    while True:
        try:
            health = _call(client, "GET", "/health")
        except JobFailedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            break
    return Identity(model=health["model"], version=health["version"], digest=health["digest"])


def predict(
    url: str, identity: Identity, stores: Stores, spec: ProjectSpec, *, partition: str, count: int
) -> list[Prediction]:
    """
    Request predictions for some rows of a partition's features, spread evenly over it.

    :param identity: what is served; the columns to send are those of its sealed bundle.
    :param count: number of rows, at least 1.
    :raises JobFailedError: if the model server does not respond, or refuses a row.
    """
    manifest = json.loads(stores.objects.get(f"{bundle_prefix(spec.name, identity.digest)}manifest.json"))
    names = [column["name"] for column in manifest["inputs"]]
    features = table_name(spec.name, Layer.FEATURES, f"{spec.feature_set.name}_v{spec.feature_set.version}")
    table = stores.tables.read(features, partition)
    rows = table.take([table.num_rows * number // count for number in range(count)]).to_pylist()
    client = loopback.client(url)
    return [_predict_one(client, row, names, spec) for row in rows]


def _predict_one(client: httpx.Client, row: Mapping[str, Any], names: Sequence[str], spec: ProjectSpec) -> Prediction:
    body = {"dataframe_split": {"columns": list(names), "data": [[row[name] for name in names]]}}
    prediction = _call(client, "POST", "/invocations", body)["predictions"][0]
    described = [name for name in (*DESCRIBED, *spec.base.key) if name in row]
    return Prediction(
        row=" ".join(str(row[name]) for name in dict.fromkeys(described)),
        target=spec.target.name,
        # predict_proba gives a list, one value a class, the positive one last; predict gives a number.
        probability=float(prediction[-1] if isinstance(prediction, list) else prediction),
        observed=bool(row[spec.target.name]),
    )


def _call(client: httpx.Client, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
    try:
        response = client.request(method, path, json=body)
    except httpx.HTTPError as error:
        advice = "See model-server.log among the logs."
        raise JobFailedError(f"The model server did not respond at {error.request.url}: {error}. {advice}") from error
    if response.is_error:
        what = f"The model server responded {response.status_code} at {response.url}"
        raise JobFailedError(f"{what}: {loopback.excerpt(response)}")
    return response.json()
