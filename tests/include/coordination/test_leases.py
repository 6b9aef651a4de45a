import json
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.contract.command import StepCommand
from include.contract.step_names import StepName
from include.coordination import leases
from include.coordination.leases import LEASE_SECONDS, REVOKED_SECONDS, Leases, revoke
from include.errors import LeaseLostError, TemporaryError
from include.stores.objects.memory import MemoryObjects
from include.stores.objects.open import open_objects

PREFIX = "leases/shop/r_1/ingest/2013-03/parcels/"


def command(attempt: int = 1, **changes: Any) -> StepCommand:
    given: dict[str, Any] = {
        "step": StepName.INGEST,
        "project": "shop",
        "partition": "2013-03",
        "run": "r:1",
        "options": (("source", "parcels"),),
    }
    return StepCommand(**{**given, "attempt": attempt, **changes})


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


class _Clock(datetime):
    ahead = timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> "_Clock":
        return super().now(tz) + cls.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[_Clock]:
    monkeypatch.setattr(leases, "datetime", _Clock)
    monkeypatch.setattr(_Clock, "ahead", timedelta())
    return _Clock


def test_a_lease_is_one_small_document(objects: MemoryObjects) -> None:
    number = Leases(objects, command()).take()
    assert (number, objects.list("")) == (1, [f"{PREFIX}000001.json"])
    document = json.loads(objects.get(f"{PREFIX}000001.json"))
    assert document["attempt"] == 1
    lives = datetime.fromisoformat(document["until"]) - datetime.now(UTC)
    assert LEASE_SECONDS - 10 < lives.total_seconds() <= LEASE_SECONDS
    assert len(objects.get(f"{PREFIX}000001.json")) < 200


def test_a_newer_try_ends_the_lease_of_an_older_one(objects: MemoryObjects) -> None:
    old, new = Leases(objects, command(1)), Leases(objects, command(2))
    first = old.take()
    old.look(first)
    second = new.take()
    new.look(second)
    with pytest.raises(LeaseLostError, match=r"Attempt 2 on .+ took over ingest of shop 2013-03/parcels in run 'r:1'"):
        old.look(first)
    with pytest.raises(LeaseLostError, match="took over"):
        old.look(first, is_undoing=True)


def test_the_same_try_started_twice_has_one_lease(objects: MemoryObjects) -> None:
    one, twin = Leases(objects, command()), Leases(objects, command())
    first, second = one.take(), twin.take()
    twin.look(second)
    with pytest.raises(LeaseLostError, match="Attempt 1 on"):
        one.look(first)


def test_an_older_try_that_starts_late_is_refused_while_the_newer_one_lives(
    objects: MemoryObjects, clock: type[_Clock]
) -> None:
    new = Leases(objects, command(2))
    number = new.take()
    with pytest.raises(LeaseLostError, match=r"Attempt 2 on .+ works on .+, so this one, attempt 1, does not begin"):
        Leases(objects, command(1)).take()
    new.look(number)
    clock.ahead = timedelta(seconds=LEASE_SECONDS - 1)
    new.renew(number, 1)
    clock.ahead *= 2
    with pytest.raises(LeaseLostError, match="does not begin"):
        Leases(objects, command(1)).take()


def test_what_is_left_of_an_earlier_run_of_the_same_name_stops_nobody_for_long(
    objects: MemoryObjects, clock: type[_Clock]
) -> None:
    Leases(objects, command(5)).take()
    revoke(objects, command(1))
    clock.ahead = timedelta(seconds=LEASE_SECONDS + 1)
    again = Leases(objects, command(1))
    number = again.take()
    with pytest.raises(LeaseLostError, match="was called off"):
        again.look(number)
    clock.ahead = timedelta(seconds=REVOKED_SECONDS + 1)
    again.look(number)


def test_a_newer_try_that_was_called_off_stops_no_older_one(objects: MemoryObjects) -> None:
    Leases(objects, command(2)).take()
    revoke(objects, command(2))
    assert Leases(objects, command(1)).take() == 2


@pytest.mark.parametrize("is_taken_before", [True, False])
def test_a_try_that_was_called_off_holds_nothing_whether_it_had_begun_or_not(
    objects: MemoryObjects, *, is_taken_before: bool
) -> None:
    mine = Leases(objects, command())
    number = mine.take() if is_taken_before else 0
    revoke(objects, command())
    number = number or mine.take()
    with pytest.raises(
        LeaseLostError, match=r"Attempt 1 of ingest of shop 2013-03/parcels in run 'r:1' was called off"
    ):
        mine.look(number)
    mine.look(number, is_undoing=True)


@pytest.mark.parametrize(
    "other",
    [
        {"attempt": 2},
        {"run": "r:2"},
        {"options": (("source", "weather"),)},
        {"partition": "2013-04"},
        {"step": StepName.VALIDATE},
        {"project": "bakery"},
    ],
)
def test_calling_off_one_try_touches_no_other(objects: MemoryObjects, other: dict[str, Any]) -> None:
    revoke(objects, command())
    mine = Leases(objects, command(**{"attempt": 1, **other}))
    mine.look(mine.take())


def test_calling_off_twice_leaves_one_document_while_it_holds(objects: MemoryObjects, clock: type[_Clock]) -> None:
    revoke(objects, command())
    revoke(objects, command())
    assert objects.list(PREFIX) == [f"{PREFIX}revoked-001-001.json"]
    clock.ahead = timedelta(seconds=REVOKED_SECONDS + 1)
    revoke(objects, command())
    assert objects.list(PREFIX) == [f"{PREFIX}revoked-001-001.json", f"{PREFIX}revoked-001-002.json"]


def test_a_damaged_lease_is_reported(objects: MemoryObjects) -> None:
    objects.create(f"{PREFIX}000001.json", b"{")
    with pytest.raises(TemporaryError, match=r"000001\.json is no document of a lease.*Remove it"):
        Leases(objects, command()).take()


def test_files_of_others_below_the_prefix_are_nothing(objects: MemoryObjects) -> None:
    objects.create(f"{PREFIX}000009.txt", b"")
    objects.create(f"{PREFIX}more/000009.json", b"")
    mine = Leases(objects, command())
    mine.look(mine.take())


class _BusyObjects(MemoryObjects):
    def create(self, key: str, data: bytes) -> bool:
        super().create(key, data)
        return False


def test_a_lease_that_others_keep_taking_is_temporary() -> None:
    with pytest.raises(TemporaryError, match="was taken by others 20 times"):
        Leases(_BusyObjects(), command()).take()


def _take_five(uri: str) -> list[int]:
    objects = open_objects(uri)
    return [Leases(objects, command()).take() for _ in range(5)]


def test_of_many_that_take_it_at_once_each_has_a_number_of_its_own(tmp_path: Path) -> None:
    uri = tmp_path.as_uri()
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        result = pool.map(_take_five, [uri] * 3)
    assert sorted(number for numbers in result for number in numbers) == list(range(1, 16))
