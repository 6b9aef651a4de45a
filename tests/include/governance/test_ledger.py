import json
import threading
from datetime import UTC, datetime

import pytest

from include.contract.layout import ledger_key
from include.errors import DataRejectedError, TemporaryError
from include.governance.ledger import Ledger, LedgerEvent, LedgerNote, LedgerVersion, LedgerWho
from include.stores.objects.memory import MemoryObjects

AT = datetime(2013, 10, 1, tzinfo=UTC)


def note(version: int, event: LedgerEvent = LedgerEvent.PROMOTED) -> LedgerNote:
    who = LedgerWho(run="r", attempt=1, host="here")
    after = LedgerVersion(version=version, digest=f"sha256:{version}")
    return LedgerNote(event=event, who=who, why="gates passed", before=None, after=after, evidence={})


@pytest.fixture
def objects() -> MemoryObjects:
    return MemoryObjects()


@pytest.fixture
def ledger(objects: MemoryObjects) -> Ledger:
    return Ledger(objects, "flights", "delay")


def test_entries_are_numbered_and_chained(ledger: Ledger) -> None:
    first = ledger.append(note(1), AT)
    ledger.append(note(2), AT)
    entries = ledger.entries()
    assert [entry.number for entry in entries] == [1, 2]
    assert [entry.chain for entry in entries] == [None, first.digest]


def test_champion_is_read_from_the_ledger_alone(ledger: Ledger) -> None:
    assert ledger.champion() is None
    assert ledger.last_promotion() is None
    ledger.append(note(1), AT)
    promoted = ledger.append(note(2), AT)
    ledger.append(note(3, LedgerEvent.FAILED), AT)
    assert ledger.champion() == LedgerVersion(version=2, digest="sha256:2")
    assert ledger.last_promotion() == promoted


def test_changed_entry_breaks_the_chain(ledger: Ledger, objects: MemoryObjects) -> None:
    for version in (1, 2, 3):
        ledger.append(note(version), AT)
    key = ledger_key("flights", "delay", 2)
    entry = json.loads(objects.contents[key])
    entry["note"]["why"] = "because"
    objects.contents[key] = json.dumps(entry).encode()
    with pytest.raises(DataRejectedError, match=r"000003.json does not follow"):
        ledger.entries()


def test_entry_that_was_taken_out_is_missed(ledger: Ledger, objects: MemoryObjects) -> None:
    for version in (1, 2):
        ledger.append(note(version), AT)
    del objects.contents[ledger_key("flights", "delay", 1)]
    with pytest.raises(DataRejectedError, match=r"000002.json does not follow"):
        ledger.append(note(3), AT)


def test_entry_that_is_none_is_named(ledger: Ledger, objects: MemoryObjects) -> None:
    objects.create(ledger_key("flights", "delay", 1), b"{}")
    with pytest.raises(DataRejectedError, match=r"000001.json cannot be read"):
        ledger.champion()


def test_twenty_writers_at_once_make_one_chain(objects: MemoryObjects) -> None:
    def write(version: int) -> None:
        Ledger(objects, "flights", "delay").append(note(version), AT)

    threads = [threading.Thread(target=write, args=(version,)) for version in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = Ledger(objects, "flights", "delay").entries()
    assert sorted(entry.note.after.version for entry in entries) == list(range(1, 9))


def test_writer_that_never_gets_the_mutex_gives_up(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryObjects, "create", lambda _self, _key, _data: False)
    with pytest.raises(TemporaryError, match="written to by others 20 times"):
        ledger.append(note(1), AT)
