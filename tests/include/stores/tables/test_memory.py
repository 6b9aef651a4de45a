import pyarrow as pa

from include.stores.objects.memory import MemoryObjects
from include.stores.tables.memory import MemoryTables

ROWS = pa.table({"hour": [1, 2]})


def test_stamps_are_kept_for_tests_to_look_at() -> None:
    tables = MemoryTables()
    tables.write("flights/raw/weather", "2013-01", ROWS, stamp={"run": "a"})
    assert tables.stamps == [{"run": "a"}]


def test_two_stores_share_nothing() -> None:
    MemoryTables().write("flights/raw/weather", "2013-01", ROWS, stamp={})
    assert MemoryTables().version("flights/raw/weather") is None
    MemoryObjects().create("a", b"1")
    assert MemoryObjects().list("") == []
