"""The object store, for tasks that read receipts. Its libraries are imported when it is opened, not at parse time."""

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

from include.contract.command import StepCommand

if TYPE_CHECKING:
    from include.stores.objects.protocol import ObjectStore

REVOKE_SECONDS = 3.0
"""How long to retry when a lease is revoked: Airflow kills a task 5 s after SIGTERM."""


class ObjectStoreHook(BaseHook):
    """Opens the installation's object store, where receipts and outcomes lie."""

    def get_conn(self) -> "ObjectStore":
        """
        Open the store that ``ML_OBJECTS_URI`` of the worker's environment names.

        :raises ConfigurationError: if it is not set, or names no kind of store that there is.
        """
        from include.stores.installation import Stores

        return Stores().objects

    def revoke(self, command: StepCommand) -> None:
        """
        Revoke the leases of one attempt of a step: wherever it still runs, it can publish nothing any more (ADR 14).

        :raises TemporaryError: if the store does not respond within ``REVOKE_SECONDS``.
        """
        from include.coordination.leases import revoke
        from include.stores.objects.s3 import S3Objects

        objects = self.get_conn()
        revoke(replace(objects, retry_seconds=REVOKE_SECONDS) if isinstance(objects, S3Objects) else objects, command)
