"""Requests for predictions over HTTP, and what the responses mean."""

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue

from include.errors import DataRejectedError, TemporaryError, foreign
from include.packaging.files import GoldenTable
from include.stores.http import HttpClient, HttpResponse, NoResponseError

# Model servers are reached inside a cluster or a machine, where a proxy knows nothing of them.
_CLIENT = HttpClient(timeout_seconds=30.0, is_direct=True)


@dataclass(frozen=True)
class ServedPredictions:
    """The predictions for some rows, and the version that made them as its server reports it."""

    predictions: list[JsonValue]
    version: str
    digest: str


Post = Callable[[str, bytes], HttpResponse]
"""Posts a JSON body to ``/invocations`` below an address; raises ``TemporaryError`` where nobody answers."""


def request_predictions(url: str, rows: GoldenTable, post: Post) -> ServedPredictions:
    """
    Request predictions as any client does.

    :raises DataRejectedError: if the server refuses the rows.
    :raises TemporaryError: if it does not respond.
    """
    response = post(url, json.dumps({"dataframe_split": rows.model_dump(mode="json")}).encode())
    text = foreign(response.content.decode(errors="replace"))
    if response.status != http.client.OK:
        message = f"The model server at {url} answers {response.status}: {text}"
        # 4xx: the rows are wrong and stay wrong; 5xx and 503 of a restart pass.
        is_client_fault = http.client.BAD_REQUEST <= response.status < http.client.INTERNAL_SERVER_ERROR
        raise (DataRejectedError if is_client_fault else TemporaryError)(message)
    try:
        predictions = json.loads(response.content)["predictions"]
    except (ValueError, KeyError, TypeError) as error:
        raise TemporaryError(f"The model server at {url} answers no predictions: {text}") from error
    return ServedPredictions(
        predictions, response.headers.get("x-model-version", ""), response.headers.get("x-model-digest", "")
    )


def post_directly(url: str, body: bytes) -> HttpResponse:
    """Post over a connection of its own."""
    return request_directly("POST", f"{url}/invocations", body)


def request_directly(method: str, url: str, body: bytes | None = None) -> HttpResponse:
    """
    Send a request over a connection of its own.

    :raises TemporaryError: if nobody answers.
    """
    try:
        return _CLIENT.request(method, url, body, {"Content-Type": "application/json"})
    except NoResponseError as error:
        where = url.removesuffix("/invocations")
        raise TemporaryError(f"The model server does not answer at {where}: {error}.") from error
