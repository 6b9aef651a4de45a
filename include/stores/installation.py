"""The installation's stores, from environment variables, which are read here and nowhere else."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from include.contract import settings
from include.errors import ConfigurationError

if TYPE_CHECKING:
    from include.stores.artifacts.protocol import ArtifactStore
    from include.stores.metrics.protocol import MetricsStore
    from include.stores.objects.protocol import ObjectStore
    from include.stores.registry.protocol import RegistryStore
    from include.stores.serving.protocol import ServingStore
    from include.stores.tables.protocol import TableStore


@dataclass(frozen=True)
class Stores:
    """The stores of one installation; each is opened at its first use."""

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def __post_init__(self) -> None:
        """
        Refuse settings by a former name.

        :raises ConfigurationError: if the environment holds one.
        """
        settings.refuse_renamed(self.environment)

    # Imports stand inside the properties: a step loads only the libraries of the stores that it uses.
    @cached_property
    def tables(self) -> "TableStore":
        """Tables of partitions."""
        from include.stores.tables.open import open_tables

        return open_tables(self.setting(settings.TABLES_URI))

    @cached_property
    def objects(self) -> "ObjectStore":
        """Write-once documents."""
        from include.stores.objects.open import open_objects

        return open_objects(self.setting(settings.OBJECTS_URI))

    @cached_property
    def registry(self) -> "RegistryStore":
        """The model registry."""
        from include.stores.registry.open import open_registry

        return open_registry(self.setting(settings.TRACKING_URI))

    @cached_property
    def serving(self) -> "ServingStore":
        """The model server."""
        from include.stores.serving.open import open_serving

        return open_serving(self.setting(settings.SERVING_URI), self.environment)

    @cached_property
    def artifacts(self) -> "ArtifactStore | None":
        """Models as OCI artifacts; None where the installation has no artifact registry."""
        registry = self.environment.get(settings.ARTIFACT_REGISTRY)
        if not registry:
            return None
        from include.stores.artifacts.open import open_artifacts

        return open_artifacts(registry, self.environment)

    @cached_property
    def metrics(self) -> "MetricsStore":
        """StatsD, or nothing where it is not set."""
        from include.stores.metrics.open import open_metrics

        return open_metrics(self.environment.get(settings.STATSD))

    def setting(self, name: str) -> str:
        """
        One setting.

        :raises ConfigurationError: if it is not set.
        """
        value = self.environment.get(name)
        if not value:
            message = f"Environment variable {name} is not set; it names the address of one of the platform's stores."
            raise ConfigurationError(message + " docs/how-to/step-by-hand.md has the values of a local platform.")
        return value

    def connection_url(self, name: str) -> str:
        """
        URL of a SQL source's connection; holds a password, so it goes nowhere else.

        :raises ConfigurationError: if it is not set.
        """
        # Airflow hands a connection to a step under this name; see plugins/hooks.
        return self.setting(f"ML_CONNECTION_{name.upper()}")
