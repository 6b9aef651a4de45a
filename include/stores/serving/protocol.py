"""The model server as steps see it: start a version beside the active one, request predictions, switch, go back."""

from typing import Protocol

from include.packaging.files import Bundle, GoldenTable
from include.stores.serving.control import ModelRecord, ServingStatus
from include.stores.serving.http import ServedPredictions
from include.stores.serving.settings import ANYWHERE, Placement, ServingSettings


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
        :raises DataRejectedError: if the server refuses the bundle; with the reason.
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

    def predict(self, url: str, rows: GoldenTable) -> ServedPredictions:
        """
        Request predictions as any client does.

        :param url: a candidate's private address, or the public one.
        :raises DataRejectedError: if the server refuses the rows.
        """
