"""The model server as steps see it: start a version beside the active one, ask it, switch, go back."""

import http.client
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from pydantic import JsonValue

from include.contract import settings
from include.errors import ConfigurationError, DataRejectedError, TemporaryError, foreign
from include.stores.model_files import Bundle, GoldenTable, write_bundle
from include.stores.serving_control import (
    ActivateCommand,
    DiscardCommand,
    ModelRecord,
    RollbackCommand,
    ServingStatus,
    StartCommand,
    StatusCommand,
    ask,
)
from include.stores.serving_settings import ServingSettings

_STATUS_SECONDS = 30.0
_SWITCH_SECONDS = 240.0
_START_SECONDS = 300.0
_ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class ServedAnswer:
    """What a server said of some rows, and which model it says it is."""

    predictions: list[JsonValue]
    version: str
    digest: str


class ServingStore(Protocol):
    """One model server: an active version, the one before it, and at most one candidate."""

    def status(self) -> ServingStatus:
        """
        What the server has.

        :raises TemporaryError: if it does not answer; so does every other method.
        """

    def start(self, bundle: Bundle, version: int, settings: ServingSettings) -> ModelRecord:
        """
        Start a version beside the active one; it takes no traffic.

        :return: the candidate, with its private address.
        :raises DataRejectedError: if the server refuses the bundle; the message says why.
        """

    def activate(self, record: ModelRecord) -> ServingStatus:
        """Give the candidate the traffic; the version that had it is kept."""

    def discard(self, record: ModelRecord) -> None:
        """End the candidate, if it is this one."""

    def rollback(self, record: ModelRecord) -> ServingStatus:
        """Give the traffic back to what had it before this version, which must be the active one; it is removed."""

    def answer(self, url: str, rows: GoldenTable) -> ServedAnswer:
        """
        Ask for predictions as any client does.

        :param url: a candidate's private address, or the public one.
        :raises DataRejectedError: if the server refuses the rows.
        """


def open_serving(uri: str) -> ServingStore:
    """
    The model server at an address.

    :param uri: ``unix:///path`` of the local server's control socket.
    :raises ConfigurationError: if it is none.
    """
    parts = urlsplit(uri)
    if parts.scheme != "unix" or parts.netloc or not parts.path.startswith("/"):
        message = f"{settings.SERVING_URI} is '{uri}'; the path of a control socket is expected: unix:///path."
        raise ConfigurationError(message)
    return LocalServing(Path(unquote(parts.path)))


@dataclass(frozen=True)
class LocalServing:
    """The supervisor on this machine; see :class:`ServingStore`."""

    control: Path
    """Its control socket."""

    def status(self) -> ServingStatus:
        """What the server has."""
        return ask(self.control, StatusCommand(), timeout_seconds=_STATUS_SECONDS)

    def start(self, bundle: Bundle, version: int, settings: ServingSettings) -> ModelRecord:
        """Start a version beside the active one."""
        record = record_of(bundle, version)
        with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
            write_bundle(bundle, Path(folder))
            command = StartCommand(folder=Path(folder), record=record, settings=settings)
            candidate = ask(self.control, command, timeout_seconds=_START_SECONDS).candidate
        if candidate is None or not candidate.is_same(record) or candidate.url is None:
            message = f"Version {version} of '{record.model}' ended just after its start; see the model server's log."
            raise TemporaryError(message)
        return candidate

    def activate(self, record: ModelRecord) -> ServingStatus:
        """Give the candidate the traffic."""
        return ask(self.control, ActivateCommand(record=record), timeout_seconds=_SWITCH_SECONDS)

    def discard(self, record: ModelRecord) -> None:
        """End the candidate, if it is this one."""
        ask(self.control, DiscardCommand(record=record), timeout_seconds=_SWITCH_SECONDS)

    def rollback(self, record: ModelRecord) -> ServingStatus:
        """Give the traffic back to what had it before this version."""
        return ask(self.control, RollbackCommand(record=record), timeout_seconds=_START_SECONDS)

    def answer(self, url: str, rows: GoldenTable) -> ServedAnswer:
        """Ask for predictions as any client does."""
        status, headers, content = _post(url, json.dumps({"dataframe_split": rows.model_dump(mode="json")}).encode())
        if status != http.client.OK:
            text = f"The model server at {url} answers {status}: {foreign(content.decode(errors='replace'))}"
            is_client_fault = http.client.BAD_REQUEST <= status < http.client.INTERNAL_SERVER_ERROR
            raise (DataRejectedError if is_client_fault else TemporaryError)(text)
        try:
            predictions = json.loads(content)["predictions"]
        except (ValueError, KeyError, TypeError) as error:
            message = f"The model server at {url} answers no predictions: {foreign(content.decode(errors='replace'))}"
            raise TemporaryError(message) from error
        return ServedAnswer(predictions, headers["X-Model-Version"] or "", headers["X-Model-Digest"] or "")


def record_of(bundle: Bundle, version: int) -> ModelRecord:
    """A version of a bundle's model, as the server names it."""
    manifest = bundle.manifest
    return ModelRecord(project=manifest.project, model=manifest.model, version=version, digest=bundle.digest)


def _post(url: str, body: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_ANSWER_SECONDS)
    headers = {"Content-Type": "application/json", "Connection": "close"}
    try:
        connection.request("POST", "/invocations", body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise TemporaryError(f"The model server does not answer at {url}: {foreign(error)}.") from error
    finally:
        connection.close()
