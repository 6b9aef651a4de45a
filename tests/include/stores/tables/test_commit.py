from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from include.errors import DataRejectedError, TemporaryError
from include.stores.retry import Backoff
from include.stores.tables import commit as tables_commit
from include.stores.tables.commit import PartitionTarget, SealedFile, commit, live_files, table_columns
from include.stores.tables.files import TableFolder

ROWS = pa.table({"hour": [1, 2]})


def _sealed(folder: TableFolder, name: str, rows: pa.Table = ROWS) -> SealedFile:
    path = f"partition=2013-01/{name}.parquet"
    return SealedFile(path, folder.write(path, rows), rows.num_rows, rows.schema, {"run": name})


@pytest.fixture
def folder(tmp_path: Path) -> TableFolder:
    return TableFolder(str(tmp_path / "t"))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_commit, "_RACE_BACKOFF", Backoff(0.0, 0.0))


def _newest(folder: TableFolder) -> DeltaTable | None:
    return DeltaTable(folder.uri) if DeltaTable.is_deltatable(folder.uri) else None


PLACE = PartitionTarget("flights/raw/weather", "2013-01")


def test_the_second_of_two_first_writers_of_a_table_looks_again(folder: TableFolder) -> None:
    first, second = _sealed(folder, "first"), _sealed(folder, "second")
    seen = iter([None])
    assert commit(folder, PLACE, first, newest=lambda: None) == 0
    assert commit(folder, PLACE, second, newest=lambda: next(seen, _newest(folder))) == 1
    assert [path for _, path, _ in live_files(DeltaTable(folder.uri))] == [second.path]


def test_the_second_of_two_first_writers_of_a_partition_looks_again(folder: TableFolder) -> None:
    other = folder.write("partition=2012-12/x.parquet", ROWS)
    before = SealedFile("partition=2012-12/x.parquet", other, 2, ROWS.schema, {})
    commit(folder, PartitionTarget("flights/raw/weather", "2012-12"), before, newest=lambda: None)
    stale = iter([DeltaTable(folder.uri)])
    first, second = _sealed(folder, "first"), _sealed(folder, "second")
    assert commit(folder, PLACE, first, newest=lambda: _newest(folder)) == 1
    assert commit(folder, PLACE, second, newest=lambda: next(stale, _newest(folder))) == 2
    assert sorted(path for _, path, _ in live_files(DeltaTable(folder.uri))) == [before.path, second.path]


def test_the_loser_of_a_race_finds_the_columns_that_the_winner_made(folder: TableFolder) -> None:
    first, second = _sealed(folder, "first"), _sealed(folder, "second", pa.table({"day": [1]}))
    commit(folder, PLACE, first, newest=lambda: None)
    seen = iter([None])
    with pytest.raises(DataRejectedError, match="missing: hour; new: day"):
        commit(folder, PLACE, second, newest=lambda: next(seen, _newest(folder)))


def test_a_commit_that_got_through_without_a_response_is_not_repeated(folder: TableFolder) -> None:
    sealed = _sealed(folder, "first")
    commit(folder, PLACE, sealed, newest=lambda: None)
    assert commit(folder, PLACE, sealed, newest=lambda: _newest(folder)) == 0
    assert DeltaTable(folder.uri).version() == 0


def test_races_are_lost_a_bounded_number_of_times(folder: TableFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TableFolder, "begin_log", lambda _folder, _commit: False)
    with pytest.raises(TemporaryError, match=r"lost 20 races against other writers. Run it again"):
        commit(folder, PLACE, _sealed(folder, "first"), newest=lambda: None)


def test_the_version_is_found_of_a_file_that_was_replaced_at_once(folder: TableFolder) -> None:
    first, second = _sealed(folder, "first"), _sealed(folder, "second")
    commit(folder, PLACE, first, newest=lambda: None)
    commit(folder, PLACE, second, newest=lambda: _newest(folder))
    assert tables_commit._version_of(folder, range(2), first.path) == 0
    assert tables_commit._version_of(folder, range(2), second.path) == 1
    with pytest.raises(TemporaryError, match=r"No version of the table names nothing\.parquet"):
        tables_commit._version_of(folder, range(2), "nothing.parquet")


def test_a_writer_that_is_overtaken_at_once_names_its_own_version(
    folder: TableFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (_sealed(folder, name) for name in ("first", "second", "third"))
    commit(folder, PLACE, first, newest=lambda: None)
    update = DeltaTable.update_incremental

    def overtaken(table: DeltaTable) -> None:
        monkeypatch.setattr(DeltaTable, "update_incremental", update)
        commit(folder, PLACE, third, newest=lambda: _newest(folder))
        update(table)

    monkeypatch.setattr(DeltaTable, "update_incremental", overtaken)
    assert commit(folder, PLACE, second, newest=lambda: _newest(folder)) == 1
    assert DeltaTable(folder.uri).version() == 2


def test_callers_do_not_see_the_partition_column(folder: TableFolder) -> None:
    commit(folder, PLACE, _sealed(folder, "first"), newest=lambda: None)
    assert table_columns(DeltaTable(folder.uri)).equals(ROWS.schema)


def test_an_orphan_that_was_let_through_just_before_it_was_overtaken_looks_again_and_is_stopped(
    folder: TableFolder,
) -> None:
    commit(folder, PLACE, _sealed(folder, "before"), newest=lambda: None)
    newer, orphan = _sealed(folder, "newer"), _sealed(folder, "orphan")
    looks: list[str] = []

    def fence() -> None:
        if looks:
            message = "Another try took over."
            raise TemporaryError(message)
        looks.append("let through")
        commit(folder, PLACE, newer, newest=lambda: _newest(folder))

    with pytest.raises(TemporaryError, match="Another try took over"):
        commit(folder, PLACE, orphan, newest=lambda: _newest(folder), fence=fence)
    assert [path for _, path, _ in live_files(DeltaTable(folder.uri))] == [newer.path]


def test_of_two_that_make_a_table_at_the_same_moment_one_does_and_the_other_replaces_its_rows(
    folder: TableFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _sealed(folder, "first"), _sealed(folder, "second")
    begin, waiting = TableFolder.begin_log, [first]

    def overtaken(self: TableFolder, content: bytes) -> bool:
        if waiting:
            commit(folder, PLACE, waiting.pop(), newest=lambda: None)
        return begin(self, content)

    monkeypatch.setattr(TableFolder, "begin_log", overtaken)
    assert commit(folder, PLACE, second, newest=lambda: _newest(folder)) == 1
    assert [path for _, path, _ in live_files(DeltaTable(folder.uri))] == [second.path]
    assert [kind for action in folder.actions(1) for kind in action if kind == "metaData"] == []


def test_the_first_commit_states_where_the_table_lies_and_what_stamped_it(folder: TableFolder) -> None:
    commit(folder, PLACE, _sealed(folder, "first"), newest=lambda: None)
    info = folder.actions(0)[0]["commitInfo"]
    assert info["operationParameters"]["location"] == folder.uri
    assert info["run"] == "first"
    assert DeltaTable(folder.uri).metadata().configuration["delta.checkpointInterval"] == "20"
