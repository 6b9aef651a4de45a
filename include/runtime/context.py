"""What a step gets from the runtime (the context), and what it returns to it (plan and work)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from include.contract.command import StepCommand
from include.contract.partition import Partition
from include.contract.receipt import Json, State
from include.contract.results import Results
from include.runtime.events import EventLog
from include.runtime.receipts import ReceiptReader
from include.spec.project import ProjectSpec
from include.stores.installation import Stores


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """One call of one step."""

    command: StepCommand
    spec: ProjectSpec
    stores: Stores
    events: EventLog
    code: str
    """Digest of the code that the step can reach."""

    @cached_property
    def partition(self) -> Partition:
        """The data interval of the call."""
        return Partition.parse(self.command.partition, self.spec.grain)

    @cached_property
    def options(self) -> Mapping[str, str]:
        """Further options, by name."""
        return dict(self.command.options)

    @cached_property
    def receipts(self) -> ReceiptReader:
        """Receipts of other steps."""
        return ReceiptReader(objects=self.stores.objects, project=self.spec.name, events=self.events)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """
    A call of a step that is several pieces of work, each with inputs, a receipt and an "already done" of its own.

    The runtime plans and does the parts side by side, all under the lease of the call, and ends the call once.
    """

    options: tuple[tuple[tuple[str, str], ...], ...]
    """
    For each part what it has beyond the options of the call: ``(("source", "weather"),)``. They give the part a subject
    of its own, and with them the step plans one piece of work: a part could be called alone and would find the same
    receipt.
    """


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a step did: outputs are sealed when it returns this."""

    outputs: tuple[State, ...]
    row_counts: Mapping[str, int] = field(default_factory=dict)
    results: Results
    """Its typed results; of the same step."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    What the work depends on, and the work.

    Inputs, parameters and code name the work: if a receipt of the same name exists and its outputs are unchanged,
    ``work`` is not called.
    """

    inputs: tuple[State, ...]
    parameters: Json
    work: Callable[[str], Work]
    """Called with ``<identity>.<generation>``, the name under which reports are sealed and commits stamped."""
    still_there: Callable[[tuple[State, ...]], bool] | None = None
    """A further check that an earlier receipt holds (the served model responds); tables and objects always are."""
