"""The object store, for a task that reads receipts; imported libraries stay out of DAG parsing."""

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from include.contract.command import StepCommand

if TYPE_CHECKING:
    from include.stores.objects.protocol import ObjectStore

CALL_OFF_SECONDS = 3.0
"""How long the store may be away when a try is called off: Airflow gives a task that is to end 5 s in all."""


class ObjectStoreHook(BaseHook):
    """Opens the installation's object store, where receipts and outcomes lie."""

    def get_conn(self) -> "ObjectStore":
        """
        Open the store that the worker's environment names.

        :raises ConfigurationError: if it names none.
        """
        from include.stores.installation import Stores

        return Stores().objects

    def call_off(self, command: StepCommand) -> None:
        """
        End the right of one try of a step to publish, wherever it may still be at work.

        :raises TemporaryError: if the store does not answer soon.
        """
        from include.coordination.leases import revoke
        from include.stores.objects.s3 import S3Objects

        objects = self.get_conn()
        revoke(replace(objects, retry_seconds=CALL_OFF_SECONDS) if isinstance(objects, S3Objects) else objects, command)
