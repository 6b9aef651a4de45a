"""The object store, for a task that reads receipts; imported libraries stay out of DAG parsing."""

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook

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
