import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from include.contract.layout import mutex_key, mutex_prefix, mutex_released_key
from include.coordination.mutex import mutex
from include.errors import TemporaryError
from include.stores.objects.memory import MemoryObjects
from include.stores.objects.protocol import ObjectStore

PREFIX = mutex_prefix("shop", "lateness")


def _plant(objects: ObjectStore, number: int, until: datetime) -> None:
    objects.create(mutex_key(PREFIX, number), json.dumps({"until": until.isoformat(), "token": "t"}).encode())


def test_holders_follow_one_another(objects: ObjectStore) -> None:
    for _ in range(3):
        with mutex(objects, PREFIX):
            pass
    assert objects.list(PREFIX) == sorted(
        key(PREFIX, number) for number in (1, 2, 3) for key in (mutex_key, mutex_released_key)
    )


def test_whoever_holds_the_mutex_holds_it_alone() -> None:
    objects, inside, most = MemoryObjects(), 0, 0
    lock = threading.Lock()

    def once(_number: int) -> None:
        nonlocal inside, most
        with mutex(objects, PREFIX):
            with lock:
                inside += 1
                most = max(most, inside)
            threading.Event().wait(0.005)
            with lock:
                inside -= 1

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(once, range(18)))
    assert (most, inside) == (1, 0)
    assert len(objects.list(PREFIX)) == 36


def test_a_hold_that_does_not_end_is_waited_for_within_bounds() -> None:
    objects = MemoryObjects()
    _plant(objects, 1, datetime.now(UTC) + timedelta(seconds=60))
    reported = "Others hold the mutex turns/shop/lateness for longer than 0 s"
    with pytest.raises(TemporaryError, match=reported), mutex(objects, PREFIX, wait_seconds=0.2):
        pytest.fail("it is not our turn")


@pytest.mark.parametrize("left", [b"{", json.dumps({"until": "2013-01-01T00:00:00Z", "token": "t"}).encode()])
def test_a_mutex_whose_holder_was_killed_ends_by_itself(left: bytes) -> None:
    objects = MemoryObjects()
    objects.create(mutex_key(PREFIX, 1), left)
    with mutex(objects, PREFIX):
        assert objects.list(PREFIX)[-1] == mutex_key(PREFIX, 2)


def test_what_a_block_raises_passes_and_releases_the_mutex() -> None:
    objects = MemoryObjects()
    with pytest.raises(ZeroDivisionError), mutex(objects, PREFIX):
        raise ZeroDivisionError
    with mutex(objects, PREFIX, wait_seconds=0):
        pass


class _Ending(MemoryObjects):
    """Cannot be told that a turn is over."""

    def create(self, key: str, data: bytes) -> bool:
        if key.endswith("-over.json"):
            message = "No answer."
            raise TemporaryError(message)
        return super().create(key, data)


def test_an_end_that_cannot_be_written_undoes_nothing() -> None:
    objects = _Ending()
    with mutex(objects, PREFIX):
        objects.create("a", b"1")
    assert objects.get("a") == b"1"
