"""Commits of tables: one names one new file in place of all that its partition held."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.errors import TemporaryError
from include.stores.retry import Backoff, retried
from include.stores.tables.content import PARTITION_COLUMN
from include.stores.tables.errors import is_race, mapped
from include.stores.tables.files import TableFolder
from include.stores.tables.shape import check_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable
    from deltalake.transaction import AddAction

# A backfill commits many partitions of one table at once, and each round of a race has one winner.
_RACES_AT_MOST = 20
_RACE_BACKOFF = Backoff(first_seconds=0.1, longest_seconds=1.0)
_SETTINGS = {
    # Opening a table reads the commits since the last checkpoint one by one, so there are few of them.
    "delta.checkpointInterval": "20",
    # A model names the table versions that it was trained on: none may be cleaned away (ADR 3).
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
"""Properties of each table, written by its first commit."""


class _RaceLostError(TemporaryError):
    """Another writer made the next version of the table first."""


@dataclass(frozen=True)
class PartitionTarget:
    """One partition of one table, in the words of messages."""

    name: str
    partition: str

    @property
    def writing(self) -> str:
        """What is being done."""
        return f"Writing partition '{self.partition}' of table '{self.name}'"

    @property
    def remedy(self) -> str:
        """What to do about a damaged log."""
        return (
            "The table's log is damaged: restore its folder _delta_log, or move the whole table away and run again the "
            "steps that write it; equal data gives equal digests, so nothing that was built on it is lost."
        )

    @property
    def file_remedy(self) -> str:
        """What to do about a damaged file."""
        return (
            f"The file is damaged or gone: restore it, or run again the step that writes '{self.name}' for "
            f"{self.partition}; it replaces the file."
        )


@dataclass(frozen=True)
class SealedFile:
    """A file that is complete, and that no commit names yet."""

    path: str
    """Below the table."""
    size_bytes: int
    row_count: int
    schema: "pa.Schema"
    stamp: Mapping[str, str]
    """Kept with the commit."""


def live_files(table: "DeltaTable") -> list[tuple[str, str, int | None]]:
    """Partition, path and row count (None if another program wrote it) of each file of the table's version."""
    import pyarrow as pa

    actions = pa.table(table.get_add_actions(flatten=True))
    columns = actions.select([f"partition.{PARTITION_COLUMN}", "path", "num_records"]).columns
    return list(zip(*(column.to_pylist() for column in columns), strict=True))


def table_columns(table: "DeltaTable") -> "pa.Schema":
    """The columns that callers see, with their types."""
    import pyarrow as pa

    return pa.schema([column for column in pa.schema(table.schema().to_arrow()) if column.name != PARTITION_COLUMN])


def commit(
    folder: TableFolder,
    target: PartitionTarget,
    sealed: SealedFile,
    *,
    newest: "Callable[[], DeltaTable | None]",
    fence: Callable[[], None] | None = None,
) -> int:
    """
    Name a file in the log, in place of what its partition held.

    :param newest: the table as it now is; None while there is none.
    :param fence: called before each attempt, after the table was read; raises to end the write. Whoever it does not see
        yet commits later, and then this attempt loses the race and it is called again.
    :return: a version in which the partition is this file.
    :raises TemporaryError: if the store does not answer, is full, or other writers were quicker too often.
    :raises DataRejectedError: if another writer has made the table of other columns in the meantime.
    """

    def attempt() -> int:
        table = newest()
        # The file's name is unique, so its presence shows that an attempt whose response was lost got through.
        if table is not None and _holds(table, sealed.path):
            return int(table.version())
        if table is not None:
            check_columns(target.name, table_columns(table), sealed.schema)
        # After the read and before the commit: whoever takes over in between makes this commit lose its race (ADR 14).
        if fence is not None:
            fence()
        return _commit_once(table, folder, target, sealed)

    try:
        # Bounded by races, not by time: each lost race means that another writer got through.
        return retried(attempt, seconds=None, attempts=_RACES_AT_MOST, backoff=_RACE_BACKOFF, on=_RaceLostError)
    except _RaceLostError as error:
        message = f"{target.writing} lost {_RACES_AT_MOST} races against other writers. Run it again."
        raise TemporaryError(message) from error


def _commit_once(table: "DeltaTable | None", folder: TableFolder, target: PartitionTarget, sealed: SealedFile) -> int:
    """
    Commit against the version that was read.

    :raises _RaceLostError: if another writer made that version first.
    """
    from deltalake.exceptions import DeltaError

    with mapped(target.writing, damaged=target.remedy):
        try:
            if table is not None:
                return _replace(table, folder, target, sealed)
            if folder.begin_log(_first_commit(folder, target, sealed)):
                return 0
        except DeltaError as error:
            if not is_race(error):
                raise
    raise _RaceLostError


def _first_commit(folder: TableFolder, target: PartitionTarget, sealed: SealedFile) -> bytes:
    """
    The commit that makes the table: deltalake's own, made in a folder of its own.

    Where two writers make one table at once, deltalake 1.6.6 lets the second make it again as version 1, beside the
    first one's rows and with columns of its own, and calls that version 0.
    """
    import pyarrow as pa
    from deltalake import Schema
    from deltalake.transaction import create_table_with_add_actions

    with tempfile.TemporaryDirectory(prefix="table-") as scratch:
        create_table_with_add_actions(
            scratch,
            Schema.from_arrow(sealed.schema.append(pa.field(PARTITION_COLUMN, pa.string()))),
            [_added(target, sealed)],
            partition_by=[PARTITION_COLUMN],
            configuration=dict(_SETTINGS),
            commit_properties=_properties(target, sealed),
        )
        actions = TableFolder(scratch).actions(0)
    for action in actions:
        if "commitInfo" in action:
            # deltalake wrote the scratch folder there; readers show it as the table's location.
            action["commitInfo"]["operationParameters"]["location"] = folder.uri
    return b"".join(json.dumps(action).encode() + b"\n" for action in actions)


def _replace(table: "DeltaTable", folder: TableFolder, target: PartitionTarget, sealed: SealedFile) -> int:
    before = table.version()
    table.create_write_transaction(
        [_added(target, sealed)],
        # Append would keep the partition's old file beside the new one.
        "overwrite",
        table.schema(),
        partition_by=[PARTITION_COLUMN],
        partition_filters=[(PARTITION_COLUMN, "=", target.partition)],
        commit_properties=_properties(target, sealed),
    )
    # The version after a commit is not always before + 1: commits of other partitions are rebased over.
    table.update_incremental()
    since = range(before + 1, table.version() + 1)
    folder.sync_log(since)
    return int(table.version()) if _holds(table, sealed.path) else _version_of(folder, since, sealed.path)


def _holds(table: "DeltaTable", path: str) -> bool:
    return any(path == live for _, live, _ in live_files(table))


def _version_of(folder: TableFolder, versions: range, path: str) -> int:
    """
    The version that named a file which a later one has replaced already.

    Read from the log itself: deltalake 1.6.6 numbers its history from the version that is open, though it lists the
    commits that came after it as well.
    """
    for version in versions:
        if path in folder.added_by(version):
            return version
    message = f"No version of the table names {path}, though its commit was acknowledged. Run it again."
    raise TemporaryError(message)


def _added(target: PartitionTarget, sealed: SealedFile) -> "AddAction":
    from deltalake.transaction import AddAction

    return AddAction(
        path=sealed.path,
        size=sealed.size_bytes,
        partition_values={PARTITION_COLUMN: target.partition},
        modification_time=int(time.time() * 1000),
        data_change=True,
        # Row counts of the log are compared with the files at each read; min and max would need the values here.
        stats=json.dumps({"numRecords": sealed.row_count}),
    )


def _properties(target: PartitionTarget, sealed: SealedFile) -> "CommitProperties":
    from deltalake import CommitProperties, Transaction

    # Two writers of one partition conflict through its transaction id, even where neither finds a file to replace.
    fence = Transaction(f"{PARTITION_COLUMN}={target.partition}", time.time_ns())
    return CommitProperties(custom_metadata={**sealed.stamp, "file": sealed.path}, app_transactions=[fence])
