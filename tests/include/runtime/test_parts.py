import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from include.contract import settings
from include.contract.receipt import OutcomeStatus
from include.coordination.leases import revoke
from include.errors import ConfigurationError, DataRejectedError, NothingToDoError, PlatformError, TemporaryError
from include.runtime import runner as runtime
from include.runtime.context import Parts, Plan, StepContext, Work
from include.runtime.ending import Completion, Ending
from include.runtime.parts import combined
from include.runtime.runner import run_step
from tests.support.runtime_bench import ROWS, Bench
from tests.support.step_results import least

NAMES = ("flights", "planes", "weather")


def nothing() -> None:
    """Do nothing."""


@dataclass
class Divided:
    """A step that is three pieces of work, each with a table of its own, unless it is called for one of them."""

    errors: dict[str, Exception] = field(default_factory=dict)
    at_work: dict[str, Callable[[], object]] = field(default_factory=dict)
    began: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)

    def plan(self, context: StepContext) -> Plan | Parts:
        name = context.options.get("source")
        if name is None:
            return Parts(options=tuple((("source", one),) for one in NAMES))
        self.began.append(name)
        if name in self.errors:
            raise self.errors[name]

        def work(identity: str) -> Work:
            self.at_work.get(name, nothing)()
            context.events.emit("rows read", rows=3)
            table = context.stores.tables.write(f"shop/raw/{name}", "2013-03", ROWS, stamp={"identity": identity})
            self.done.append(name)
            return Work(outputs=(table,), row_counts={"read": 3}, results=least(context.command.step))

        return Plan(inputs=(), parameters={"version": self.inputs.get(name, "1")}, work=work)


@dataclass
class Divisions:
    """The step, the stores, and calls of it."""

    step: Divided = field(default_factory=Divided)
    bench: Bench = field(default_factory=Bench)

    def context(self, attempt: int = 1, *, threads: int = 1, source: str | None = None) -> StepContext:
        context = self.bench.context(attempt=attempt)
        stores = replace(context.stores, environment={settings.THREADS: str(threads)})
        stores.__dict__.update(tables=self.bench.tables, objects=self.bench.objects)
        command = replace(context.command, options=(("source", source),) if source else ())
        return replace(context, stores=stores, command=command)

    def run(self, attempt: int = 1, *, threads: int = 1, source: str | None = None) -> Ending:
        return run_step(self.context(attempt, threads=threads, source=source))

    def written(self) -> list[str]:
        return [name for name in NAMES if self.bench.tables.version(f"shop/raw/{name}") is not None]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Divisions:
    found = Divisions()
    monkeypatch.setattr(runtime, "step_module", lambda _step: found.step)
    monkeypatch.setattr("include.runtime.threads.os.sched_getaffinity", lambda _pid: {0, 1, 2, 3}, raising=False)
    return found


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_each_part_leaves_a_receipt_and_the_call_one_outcome_under_one_lease(call: Divisions, threads: int) -> None:
    ending = call.run(threads=threads)
    assert (ending.outcome.status, ending.outcome.subject) == (OutcomeStatus.DONE, "2013-03")
    assert list(ending.outcome.receipts) == [f"2013-03/{name}" for name in NAMES]
    for subject, key in ending.outcome.receipts.items():
        receipt = call.context().receipts.receipt(key)
        assert (receipt.subject, receipt.partition, receipt.row_counts) == (subject, "2013-03", {"read": 3})
    assert call.bench.keys("runs/") == ["runs/shop/r1/validate/2013-03/001/000.json"]
    assert call.bench.keys("leases/") == ["leases/shop/r1/validate/2013-03/000001.json"]


def test_a_part_is_the_work_of_a_call_for_it_alone(call: Divisions) -> None:
    alone = call.run(source="weather")
    whole = call.run(attempt=2)
    assert whole.outcome.receipts["2013-03/weather"] == alone.outcome.receipt
    assert call.step.done == ["weather", "flights", "planes"]
    again = call.run(attempt=3, source="planes")
    assert (again.outcome.status, again.outcome.receipt) == (
        OutcomeStatus.ALREADY_DONE, whole.outcome.receipts["2013-03/planes"],
    )  # fmt: skip


def test_a_second_call_finds_all_parts_done_and_takes_no_lease(call: Divisions) -> None:
    first = call.run()
    leases = call.bench.keys("leases/")
    second = call.run(attempt=2, threads=4)
    assert (second.outcome.status, second.outcome.receipts) == (OutcomeStatus.ALREADY_DONE, first.outcome.receipts)
    assert len(call.step.done) == 3
    assert call.bench.keys("leases/") == leases


def test_only_what_changed_is_done_again(call: Divisions) -> None:
    call.run()
    call.step.inputs["planes"] = "2"
    assert call.run(attempt=2).outcome.status is OutcomeStatus.DONE
    assert call.step.done == [*NAMES, "planes"]


@pytest.mark.parametrize("threads", [1, 4])
def test_where_a_part_fails_the_receipts_of_the_others_hold_and_the_next_try_does_the_rest(
    call: Divisions, threads: int
) -> None:
    call.step.errors["planes"] = TemporaryError("The server\ndid not answer.")
    failed = call.run(threads=threads)
    assert (failed.outcome.status, failed.outcome.exit_code) == (OutcomeStatus.FAILED, 75)
    assert failed.outcome.message == "1 of 3 parts failed (planes). planes: The server did not answer."
    assert sorted(failed.outcome.receipts) == ["2013-03/flights", "2013-03/weather"]
    assert call.written() == ["flights", "weather"]
    call.step.errors.clear()
    assert call.run(attempt=2, threads=threads).outcome.status is OutcomeStatus.DONE
    assert sorted(call.step.done) == ["flights", "planes", "weather"]


def test_what_every_part_says_tells_which_part_it_is(call: Divisions) -> None:
    call.step.errors["planes"] = DataRejectedError("No file.")
    call.run()
    said = call.bench.log.getvalue()
    assert '"source": "flights", "rows": 3' in said
    assert '"event": "part done", "subject": "2013-03/weather", "source": "weather"' in said
    assert '"level": "warning", "event": "part failed", "subject": "2013-03/planes", "source": "planes"' in said


def test_parts_are_done_at_once_where_there_are_cpus(call: Divisions) -> None:
    together = threading.Barrier(3, timeout=20)
    call.step.at_work = dict.fromkeys(NAMES, together.wait)
    assert call.run(threads=3).outcome.status is OutcomeStatus.DONE


def test_no_more_parts_are_at_work_than_the_step_may_use_threads(call: Divisions) -> None:
    at_work: list[int] = []
    running = threading.Semaphore(2)

    def work() -> None:
        is_free = running.acquire(blocking=False)
        at_work.append(1 if is_free else 99)
        threading.Event().wait(0.05)
        running.release()

    call.step.at_work = dict.fromkeys(NAMES, work)
    call.run(threads=2)
    assert at_work == [1, 1, 1]


def test_with_one_cpu_parts_are_done_one_after_another_in_the_thread_of_the_call(call: Divisions) -> None:
    threads: list[str] = []
    call.step.at_work = dict.fromkeys(NAMES, lambda: threads.append(threading.current_thread().name))
    call.run(threads=1)
    assert (call.step.done, set(threads)) == (list(NAMES), {threading.current_thread().name})


@pytest.mark.parametrize("threads", [1, 3])
def test_a_call_that_lost_its_lease_publishes_no_part_any_more(call: Divisions, threads: int) -> None:
    called_off = threading.Event()

    def call_off() -> None:
        revoke(call.bench.objects, call.context().command)
        called_off.set()

    wait = called_off.wait if threads == 3 else nothing
    call.step.at_work = {"flights": wait, "planes": call_off, "weather": wait}
    ending = call.run(threads=threads)
    assert ending.outcome.exit_code == 75
    assert "was called off: it publishes nothing" in ending.outcome.message
    assert "planes, weather" in ending.outcome.message
    assert call.written() == ([] if threads == 3 else ["flights"])
    assert "2013-03/weather" not in ending.outcome.receipts


@pytest.mark.parametrize("threads", [1, 3])
def test_a_bug_in_a_part_ends_the_call_without_an_outcome(call: Divisions, threads: int) -> None:
    call.step.errors["planes"] = ZeroDivisionError("by zero")
    with pytest.raises(ZeroDivisionError, match="by zero"):
        call.run(threads=threads)
    assert call.bench.keys("runs/") == []
    assert "flights" in call.written()


def test_a_cap_of_threads_that_is_none_is_a_matter_of_configuration(call: Divisions) -> None:
    context = call.context()
    stores = replace(context.stores, environment={settings.THREADS: "many"})
    stores.__dict__.update(tables=call.bench.tables, objects=call.bench.objects)
    assert run_step(replace(context, stores=stores)).outcome.exit_code == 78


BAD, AWAY, WRONG = DataRejectedError("Bad."), TemporaryError("Away."), ConfigurationError("Wrong.")
NONE = NothingToDoError("None.")
DONE = Completion(status=OutcomeStatus.DONE, receipt="k")
BEFORE = Completion(status=OutcomeStatus.ALREADY_DONE, receipt="k")


@pytest.mark.parametrize(
    ("parts", "status", "exit_code"),
    [
        ((DONE, BEFORE), OutcomeStatus.DONE, 0),
        ((BEFORE, BEFORE), OutcomeStatus.ALREADY_DONE, 0),
        ((BEFORE, NONE), OutcomeStatus.ALREADY_DONE, 0),
        ((NONE, NONE), OutcomeStatus.SKIPPED, 99),
        ((DONE, AWAY), OutcomeStatus.FAILED, 75),
        ((NONE, AWAY), OutcomeStatus.FAILED, 75),
        ((AWAY, BAD), OutcomeStatus.FAILED, 65),
        ((AWAY, WRONG, BAD), OutcomeStatus.FAILED, 78),
    ],
)
def test_how_the_parts_came_out_decides_how_the_call_does(
    parts: tuple[Completion | PlatformError, ...], status: OutcomeStatus, exit_code: int
) -> None:
    given = [Completion.of(part) if isinstance(part, PlatformError) else part for part in parts]
    found = combined({f"2013-03/{number}": part for number, part in enumerate(given)})
    assert (found.status, found.error.exit_code if found.error else 0) == (status, exit_code)


def test_every_part_that_failed_is_named_first_and_in_one_line() -> None:
    parts = {"2013-03/b": Completion.of(AWAY), "2013-03/a": Completion.of(DataRejectedError("Bad.\nRow 3.")), "c": DONE}
    assert str(combined(parts).error) == "2 of 3 parts failed (a, b). b: Away. a: Bad. Row 3."


def test_of_a_call_with_one_part_the_error_is_the_parts() -> None:
    assert combined({"2013-03/a": Completion.of(BAD)}).error is BAD
