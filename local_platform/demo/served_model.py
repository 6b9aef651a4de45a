"""Asking the served model about real rows, as any client would: one HTTP request each."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from include.contract.layout import Layer, bundle_prefix, table_name
from include.spec.project import ProjectSpec
from include.stores.installation import Stores
from local_platform.errors import JobFailedError

TIMEOUT_SECONDS = 30.0
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
    while True:
        try:
            answer = _call(f"{url}/health")
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
    return [_ask_one(url, row, names, spec) for row in rows]


def _ask_one(url: str, row: Mapping[str, Any], names: Sequence[str], spec: ProjectSpec) -> Answer:
    body = {"dataframe_split": {"columns": list(names), "data": [[row[name] for name in names]]}}
    prediction = _call(f"{url}/invocations", body)["predictions"][0]
    described = [name for name in (*DESCRIBED, *spec.base.key) if name in row]
    return Answer(
        row=" ".join(str(row[name]) for name in dict.fromkeys(described)),
        question=spec.target.name,
        probability=float(prediction[-1] if isinstance(prediction, list) else prediction),
        happened=bool(row[spec.target.name]),
    )


def _call(url: str, body: Mapping[str, object] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")[:300]
        raise JobFailedError(f"The model server answered {error.code} at {url}: {said}") from error
    except OSError as error:
        advice = "See model-server.log among the logs."
        raise JobFailedError(f"The model server did not answer at {url}: {error}. {advice}") from error
