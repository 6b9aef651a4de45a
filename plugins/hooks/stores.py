"""The object store, for a task that reads receipts; imported libraries stay out of DAG parsing."""

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from include.contract.command import StepCommand

if TYPE_CHECKING:
    from include.stores.protocols import ObjectStore


class ObjectStoreHook(BaseHook):
    """Opens the installation's object store, where receipts and outcomes lie."""

    def get_conn(self) -> "ObjectStore":
        """
        Open the store that the worker's environment names.

        :raises ConfigurationError: if it names none.
        """
        from include.stores.from_env import Stores

        return Stores().objects

    def call_off(self, command: StepCommand) -> None:
        """
        End the right of one try of a step to publish, wherever it may still be at work.

        :raises TemporaryError: if the store does not answer.
        """
        from include.stores.leases import revoke

        revoke(self.get_conn(), command)
