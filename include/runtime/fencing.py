"""
Stores that look at the step's lease before they publish anything; reading is as it was.

Every method of every store is in a table here, and a test compares the tables with the protocols: a new method that
publishes cannot be forgotten. Objects that are sealed under a name of their own, and runs that are not finished, have
no readers before a receipt or a version names them, so a check of a few seconds ago is good enough for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from include.runtime.lease import Lease
from include.stores.installation import Stores
from include.stores.registry.protocol import RunStatus

if TYPE_CHECKING:
    from include.stores.artifacts.protocol import ArtifactStore
    from include.stores.metrics.protocol import MetricsStore
    from include.stores.objects.protocol import ObjectStore
    from include.stores.registry.protocol import RegistryStore
    from include.stores.serving.protocol import ServingStore
    from include.stores.tables.protocol import TableStore

SEEN_WITHIN_SECONDS = 5.0
"""How old a check of the lease may be when something is written that has no readers yet."""

Guard = Callable[..., None]
"""Called with a method's own arguments before it; raises to keep it from being called."""


@dataclass(frozen=True, kw_only=True)
class FencedStores(Stores):
    """An installation's stores, as a step may use them that holds a lease."""

    environment: Mapping[str, str] = field(repr=False)
    inner: Stores
    lease: Lease
    allowed: frozenset[str]
    """Names of the stores that the step may open: those that its code digest covers."""

    @cached_property
    def tables(self) -> "TableStore":
        """Tables; the lease is checked before each attempt of a commit, after the table was read."""
        tables = self._opened("tables")

        def write(*given: Any, **named: Any) -> Any:
            return tables.write(*given, **named, fence=self.lease.check)

        return cast("TableStore", _Fenced(tables, reading=TABLES_READING, instead={"write": write}))

    @cached_property
    def objects(self) -> "ObjectStore":
        """Write-once documents."""
        guards = {"create": self._before, "seal": self._before_unpublished}
        return cast("ObjectStore", _Fenced(self._opened("objects"), reading=OBJECTS_READING, guards=guards))

    @cached_property
    def registry(self) -> "RegistryStore":
        """The model registry."""
        guards: dict[str, Guard] = {
            **dict.fromkeys(REGISTRY_UNPUBLISHED, self._before_unpublished),
            **dict.fromkeys(REGISTRY_PUBLISHING, self._before),
            "end_run": self._before_end_run,
        }
        return cast("RegistryStore", _Fenced(self._opened("registry"), reading=REGISTRY_READING, guards=guards))

    @cached_property
    def serving(self) -> "ServingStore":
        """The model server; an attempt whose lease was revoked may still take back what it began."""
        guards: dict[str, Guard] = {
            **dict.fromkeys(SERVING_PUBLISHING, self._before),
            **dict.fromkeys(SERVING_UNDOING, self._before_undoing),
        }
        return cast("ServingStore", _Fenced(self._opened("serving"), reading=SERVING_READING, guards=guards))

    @cached_property
    def artifacts(self) -> "ArtifactStore | None":
        """Models as OCI artifacts, named by their digest; None where the installation has no registry."""
        artifacts = self._opened("artifacts")
        if artifacts is None:
            return None
        guards = {"push": self._before_unpublished}
        return cast("ArtifactStore", _Fenced(artifacts, reading=ARTIFACTS_READING, guards=guards))

    @cached_property
    def metrics(self) -> "MetricsStore":
        """StatsD; numbers are no publication."""
        return cast("MetricsStore", self._opened("metrics"))

    def _opened(self, name: str) -> Any:
        if name not in self.allowed:
            message = (
                f"This step may not open the store '{name}': its code digest would not cover it. Add it to the step"
            )
            raise AttributeError(f"{message} in STORES of include/contract/step_names.py.")
        return getattr(self.inner, name)

    def _before(self, *_given: Any, **_named: Any) -> None:
        self.lease.check()

    def _before_unpublished(self, *_given: Any, **_named: Any) -> None:
        self.lease.check(seen_within_seconds=SEEN_WITHIN_SECONDS)

    def _before_undoing(self, *_given: Any, **_named: Any) -> None:
        self.lease.check_undoing()

    def _before_end_run(self, _run_id: str, status: RunStatus) -> None:
        # Other steps read a finished run; closing one that failed is only tidying up.
        if status is RunStatus.FINISHED:
            self.lease.check()


TABLES_READING = frozenset({"read", "state", "partitions", "version"})
OBJECTS_READING = frozenset({"get", "exists", "list", "url"})
REGISTRY_READING = frozenset({"runs", "find_run", "run_url", "download", "metrics", "versions", "version", "alias"})
REGISTRY_UNPUBLISHED = frozenset({"start_run", "log_parameters", "log_datasets", "log_model"})
REGISTRY_PUBLISHING = frozenset({"log_metrics", "log_files", "register", "set_tags", "move_alias"})
ARTIFACTS_READING = frozenset({"exists"})
SERVING_READING = frozenset({"status", "predict"})
SERVING_PUBLISHING = frozenset({"start", "activate", "settle"})
SERVING_UNDOING = frozenset({"discard", "rollback"})


class _Fenced:
    """A store behind guards; what is neither read, guarded nor replaced does not exist."""

    def __init__(
        self,
        store: Any,
        *,
        reading: frozenset[str],
        guards: Mapping[str, Guard] | None = None,
        instead: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self._store = store
        self._reading = reading
        self._guards = dict(guards or {})
        self._instead = dict(instead or {})

    def __getattr__(self, name: str) -> Any:
        if name in self._instead:
            return self._instead[name]
        if name in self._reading:
            return getattr(self._store, name)
        if name not in self._guards:
            message = f"{type(self._store).__name__}.{name} is not among what a step may do with this store."
            raise AttributeError(message)
        guard, method = self._guards[name], getattr(self._store, name)

        def guarded(*given: Any, **named: Any) -> Any:
            guard(*given, **named)
            return method(*given, **named)

        return guarded
