"""The model server as steps see it: start a version beside the active one, ask it, switch, go back."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from include.contract import settings
from include.errors import ConfigurationError, TemporaryError
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
from include.stores.serving_http import ServedAnswer, ask_predictions, post_directly
from include.stores.serving_settings import ANYWHERE, Placement, ServingSettings

_STATUS_SECONDS = 30.0
_SWITCH_SECONDS = 240.0
_START_SECONDS = 300.0


class ServingStore(Protocol):
    """One model server: an active version, the one before it, and at most one candidate."""

    def status(self, project: str, model: str) -> ServingStatus:
        """
        What the server has of a model.

        :raises TemporaryError: if it does not answer; so does every other method.
        """

    def start(
        self, bundle: Bundle, version: int, settings: ServingSettings, placement: Placement = ANYWHERE
    ) -> ModelRecord:
        """
        Start a version beside the active one; it takes no traffic.

        :return: the candidate, with its private address.
        :raises DataRejectedError: if the server refuses the bundle; the message says why.
        :raises ConfigurationError: if it cannot ever start as the installation is.
        """

    def activate(self, record: ModelRecord) -> ServingStatus:
        """Give the candidate the traffic; the version that had it is kept."""

    def discard(self, record: ModelRecord) -> None:
        """End the candidate, if it is this one."""

    def rollback(self, record: ModelRecord) -> ServingStatus:
        """Give the traffic back to what had it before this version, which must be the active one; it is removed."""

    def settle(self, record: ModelRecord) -> None:
        """The switch to this version is final: what came before the version before it may be removed."""

    def answer(self, url: str, rows: GoldenTable) -> ServedAnswer:
        """
        Ask for predictions as any client does.

        :param url: a candidate's private address, or the public one.
        :raises DataRejectedError: if the server refuses the rows.
        """


def open_serving(uri: str, environment: Mapping[str, str]) -> ServingStore:
    """
    The model server at an address.

    :param uri: ``unix:///path`` of the local server's control socket, or ``kubernetes://namespace``.
    :param environment: what else the installation says of serving: images, where bundles lie.
    :raises ConfigurationError: if it is none.
    """
    parts = urlsplit(uri)
    if parts.scheme == "kubernetes" and parts.netloc and not parts.path.strip("/"):
        from include.stores.serving_kubernetes import open_kubernetes_serving

        return open_kubernetes_serving(parts.netloc, environment)
    if parts.scheme != "unix" or parts.netloc or not parts.path.startswith("/"):
        message = (
            f"{settings.SERVING_URI} is '{uri}'; the path of a control socket is expected, unix:///path, or a "
            "namespace, kubernetes://ml-serving."
        )
        raise ConfigurationError(message)
    return LocalServing(Path(unquote(parts.path)))


@dataclass(frozen=True)
class LocalServing:
    """The supervisor on this machine; see :class:`ServingStore`."""

    control: Path
    """Its control socket."""

    def status(self, project: str, model: str) -> ServingStatus:  # noqa: ARG002 (it has one model)
        """What the server has."""
        return ask(self.control, StatusCommand(), timeout_seconds=_STATUS_SECONDS)

    def start(
        self,
        bundle: Bundle,
        version: int,
        settings: ServingSettings,
        placement: Placement = ANYWHERE,  # noqa: ARG002 (it is one process on this machine)
    ) -> ModelRecord:
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

    def settle(self, record: ModelRecord) -> None:
        """Nothing to do: the supervisor ends what it keeps no longer by itself."""

    def answer(self, url: str, rows: GoldenTable) -> ServedAnswer:
        """Ask for predictions as any client does."""
        return ask_predictions(url, rows, post_directly)


def record_of(bundle: Bundle, version: int) -> ModelRecord:
    """A version of a bundle's model, as the server names it."""
    manifest = bundle.manifest
    return ModelRecord(project=manifest.project, model=manifest.model, version=version, digest=bundle.digest)
