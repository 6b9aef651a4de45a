"""Asking the served model about real rows, as any client would: one HTTP request each."""

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
"""What a person recognises a flight by."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which model answers."""

    model: str
    version: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One row, what the model says of it, and what came true."""

    row: str
    question: str
    """Name of the target: what it is the probability of."""
    probability: float
    happened: bool


def identify(url: str, patience_seconds: float = 0.0) -> Identity:
    """
    Ask the model server what it serves.

    :param patience_seconds: how long the way to it may be away.
    :raises JobFailedError: if it serves nothing.
    """
    deadline = time.monotonic() + patience_seconds
    client = loopback.client(url)
    while True:
        try:
            answer = _call(client, "GET", "/health")
        except JobFailedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            break
    return Identity(model=answer["model"], version=answer["version"], digest=answer["digest"])


def ask(url: str, identity: Identity, stores: Stores, spec: ProjectSpec, *, partition: str, count: int) -> list[Answer]:
    """
    Ask the served model about some rows of a partition's features, spread over it.

    :param identity: what is served; the columns to send are those of its sealed bundle.
    :param count: how many rows.
    """
    manifest = json.loads(stores.objects.get(f"{bundle_prefix(spec.name, identity.digest)}manifest.json"))
    names = [column["name"] for column in manifest["inputs"]]
    features = table_name(spec.name, Layer.FEATURES, f"{spec.feature_set.name}_v{spec.feature_set.version}")
    table = stores.tables.read(features, partition)
    rows = table.take([table.num_rows * number // count for number in range(count)]).to_pylist()
    client = loopback.client(url)
    return [_ask_one(client, row, names, spec) for row in rows]


def _ask_one(client: httpx.Client, row: Mapping[str, Any], names: Sequence[str], spec: ProjectSpec) -> Answer:
    body = {"dataframe_split": {"columns": list(names), "data": [[row[name] for name in names]]}}
    prediction = _call(client, "POST", "/invocations", body)["predictions"][0]
    described = [name for name in (*DESCRIBED, *spec.base.key) if name in row]
    return Answer(
        row=" ".join(str(row[name]) for name in dict.fromkeys(described)),
        question=spec.target.name,
        probability=float(prediction[-1] if isinstance(prediction, list) else prediction),
        happened=bool(row[spec.target.name]),
    )


def _call(client: httpx.Client, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
    try:
        response = client.request(method, path, json=body)
    except httpx.HTTPError as error:
        advice = "See model-server.log among the logs."
        raise JobFailedError(f"The model server did not answer at {error.request.url}: {error}. {advice}") from error
    if response.is_error:
        what = f"The model server answered {response.status_code} at {response.url}"
        raise JobFailedError(f"{what}: {loopback.excerpt(response)}")
    return response.json()
