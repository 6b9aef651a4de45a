"""A step that writes a table and a report, on stores in memory: for tests of the runtime."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from include.contract.command import StepCommand
from include.contract.receipt import ModelState, Receipt, State
from include.contract.results import ValidateResults
from include.contract.step_names import StepName
from include.errors import PlatformError
from include.runtime.context import Plan, StepContext, Work
from include.runtime.ending import Ending
from include.runtime.events import EventLog
from include.runtime.runner import run_step
from include.stores.installation import Stores
from include.stores.objects.memory import MemoryObjects
from include.stores.tables.memory import MemoryTables
from tests.support.spec_kit import parsed

TABLE = "shop/raw/parcels"
ROWS = pa.table({"id": [1, 2, 3]})
RESULTS = ValidateResults(broken={"parcels": {"unique_key": 2}})
MODEL = ModelState(name="lateness", run_id="r", digest="sha256:00")


@dataclass
class FakeStep:
    """A step that writes one table and one report, and counts how often it works."""

    inputs: tuple[State, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    rows: pa.Table = field(default_factory=lambda: ROWS)
    still_there: Callable[[tuple[State, ...]], bool] | None = None
    more: tuple[State, ...] = ()
    error: Exception | None = None
    before_work: Callable[[], None] = lambda: None
    before_sealing: Callable[[], None] = lambda: None
    identities: list[str] = field(default_factory=list)

    def plan(self, context: StepContext) -> Plan:
        if isinstance(self.error, PlatformError) and not self.identities:
            raise self.error

        def work(identity: str) -> Work:
            self.identities.append(identity)
            if self.error is not None:
                raise self.error
            self.before_work()
            table = context.stores.tables.write(TABLE, "2013-03", self.rows, stamp={"identity": identity})
            report = context.stores.objects.seal(f"reports/{identity}.html", b"<p>")
            self.before_sealing()
            return Work(outputs=(table, report, *self.more), row_counts={"read": 3}, results=RESULTS)

        return Plan(inputs=self.inputs, parameters=self.parameters, work=work, still_there=self.still_there)


@dataclass
class Bench:
    """A step, stores in memory, and the step's log."""

    step: FakeStep = field(default_factory=FakeStep)
    tables: MemoryTables = field(default_factory=MemoryTables)
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    log: io.StringIO = field(default_factory=io.StringIO)

    def context(self, *, run: str = "r1", attempt: int = 1, code: str = "sha256:aa") -> StepContext:
        command = StepCommand(step=StepName.VALIDATE, project="shop", partition="2013-03", run=run, attempt=attempt)
        stores = Stores(environment={})
        stores.__dict__.update(tables=self.tables, objects=self.objects)
        return StepContext(command=command, spec=parsed(), stores=stores, events=EventLog(self.log), code=code)

    def run(self, **changes: Any) -> Ending:
        return run_step(self.context(**changes))

    def receipt(self, ending: Ending) -> Receipt:
        return self.context().receipts.receipt(str(ending.outcome.receipt))

    def keys(self, prefix: str) -> list[str]:
        return self.objects.list(prefix)
