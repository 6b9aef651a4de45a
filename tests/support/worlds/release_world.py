"""The project of ``tests.support.worlds.training_world`` with a model server, up to a packaged or served model."""

import copy
import shutil
from dataclasses import dataclass, field
from typing import Any

from include.contract.receipt import ModelState, Receipt
from include.contract.step_names import StepName
from include.governance.ledger import Ledger, LedgerEntry
from include.runtime.context import StepContext
from include.stores.artifacts.protocol import ArtifactStore
from include.stores.objects.memory import MemoryObjects
from include.stores.registry.memory import MemoryRegistry
from include.stores.serving.memory import MemoryServing
from include.stores.serving.protocol import ServingStore
from tests.support.worlds.training_world import MONTHS, PROJECT, World


@dataclass
class ReleaseWorld(World):
    """A world that has a model server as well."""

    serving: ServingStore = field(default_factory=MemoryServing)
    artifacts: ArtifactStore | None = None

    @classmethod
    def filled(cls, **parts: Any) -> "ReleaseWorld":
        world = cls(**parts)
        world.fill(*MONTHS)
        return world

    def copy(self) -> "ReleaseWorld":
        """The same world to do other things in: training once is enough for many tests."""
        old, new = self.registry, MemoryRegistry()
        assert isinstance(old, MemoryRegistry)
        shutil.copytree(old._folder, new._folder, dirs_exist_ok=True)
        for name in ("_runs", "_versions", "_aliases"):
            setattr(new, name, copy.deepcopy(getattr(old, name)))
        return ReleaseWorld(
            registry=new, tables=self.tables, objects=MemoryObjects(dict(self.objects.contents)), spec=self.spec
        )

    @property
    def model(self) -> str:
        return self.spec.model.name

    def context(self, step: StepName, partition: str = "2024-05", **options: Any) -> StepContext:
        context = super().context(step, partition, **options)
        context.stores.__dict__.update(serving=self.serving, artifacts=self.artifacts)
        return context

    def evaluated(self, partition: str = "2024-05", **options: Any) -> None:
        """Train and evaluate; a window holds all partitions that there are."""
        options.setdefault("window", str(MONTHS.index(partition) + 1))
        self.done(StepName.TRAIN, partition, **options)
        self.done(StepName.EVALUATE, partition, **options)

    def packaged(self, partition: str = "2024-05", **options: Any) -> ModelState:
        """Train, evaluate and package; the registered version."""
        self.evaluated(partition, **options)
        return version_of(self.done(StepName.PACKAGE, partition, **options))

    def deployed(self, partition: str = "2024-05", **options: Any) -> ModelState:
        """Train, evaluate, package and deploy; the version that gets the traffic."""
        self.packaged(partition, **options)
        return version_of(self.done(StepName.DEPLOY, partition, **options))

    def champion(self) -> int | None:
        champion = self.registry.alias(self.model, "champion")
        return None if champion is None else champion.version

    def active(self) -> int | None:
        active = self.serving.status(PROJECT, self.model).active
        return None if active is None else active.version

    def ledger(self) -> list[LedgerEntry]:
        return Ledger(self.objects, PROJECT, self.model).entries()

    def forget(self, step: StepName, partition: str = "2024-05") -> None:
        """As if the step had been killed just before it wrote its receipt."""
        prefix = f"receipts/{PROJECT}/{step.value}/{partition}/"
        for key in self.objects.list(prefix):
            del self.objects.contents[key]


def version_of(receipt: Receipt) -> ModelState:
    return next(state for state in receipt.outputs if isinstance(state, ModelState))
