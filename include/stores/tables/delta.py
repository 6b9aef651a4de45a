"""
Tables of partitions on Delta Lake, in a directory or in S3.

One partition is one Parquet file, written here and named by one commit. The commit replaces what the partition held,
keeps the stamp and the digest of the content beside it, and carries a transaction id of its partition: of two writers
of one partition that started from the same version one must look again, so that none is ever doubled. Nothing is
ever vacuumed and the log is kept, so every version can be read for as long as the table exists.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.contract.receipt import TableState
from include.errors import DataRejectedError
from include.stores.tables.commit import PartitionTarget, SealedFile, commit, live_files, table_columns
from include.stores.tables.content import PARTITION_COLUMN, content_digest, plain
from include.stores.tables.errors import mapped
from include.stores.tables.files import TableFolder
from include.stores.tables.shape import (
    check_columns,
    checked_partition,
    checked_table,
    never_written,
    no_version,
    selected,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable


@dataclass(frozen=True)
class DeltaTables:
    """Tables below a root; see :class:`~include.stores.tables.protocol.TableStore`."""

    root: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    _opened: "dict[tuple[str, int | None], DeltaTable]" = field(default_factory=dict, repr=False, compare=False)
    """Tables that this process has open, by name and pinned version; the newest is brought up to date at every use."""

    def write(
        self,
        name: str,
        partition: str,
        rows: "pa.Table",
        *,
        stamp: Mapping[str, str],
        fence: Callable[[], None] | None = None,
    ) -> TableState:
        """
        Replace one partition by these rows; the table is created by its first write.

        :param name: ``flights/raw/weather``.
        :param rows: one row per row; may be empty (the partition then exists with no rows).
        :param stamp: words to keep with the commit: step, run, identity.
        :param fence: called before each attempt of the commit, after the table was read.
        :raises TemporaryError: if the store does not answer, is full, or the commit lost a race too often.
        :raises DataRejectedError: if the columns do not fit those that the table has, or its log is damaged.
        """
        target = PartitionTarget(name, checked_partition(partition))
        rows = plain(name, rows)
        digest = content_digest(rows)
        table = self._newest(name)
        if table is not None:
            check_columns(name, table_columns(table), rows.schema)
        # A name of its own for each write: an attempt that fails leaves a file that no commit names, and harms none.
        path = f"{PARTITION_COLUMN}={partition}/{uuid.uuid4().hex}.parquet"
        folder = self._folder(name)
        with mapped(target.writing, damaged=target.remedy):
            # Written before the commit: a reader that sees the commit must find the file.
            size = folder.write(path, rows)
        sealed = SealedFile(path, size, rows.num_rows, rows.schema, {**stamp, "digest": digest})
        version = commit(folder, target, sealed, newest=lambda: self._newest(name), fence=fence)
        return TableState(name=name, partition=partition, version=version, digest=digest, row_count=rows.num_rows)

    def read(
        self, name: str, partition: str, *, version: int | None = None, columns: Sequence[str] | None = None
    ) -> "pa.Table":
        """
        One partition's rows, in the order in which they were written.

        :param version: the table's version to read; the newest one if not given.
        :param columns: columns to read, in this order; all if not given.
        :raises DataRejectedError: if the partition was never written, or the table's log or files are damaged.
        """
        target = PartitionTarget(name, checked_partition(partition))
        table = self._at(name, version)
        rows = None if table is None else self._rows(target, table, columns)
        if rows is None:
            raise never_written(name, partition, version)
        return rows

    def state(self, name: str, partition: str, *, version: int | None = None) -> TableState | None:
        """
        What the partition holds, its digest computed anew from its rows; None if it was never written.

        :raises DataRejectedError: if the table's log or files are damaged.
        """
        target = PartitionTarget(name, checked_partition(partition))
        table = self._at(name, version)
        rows = None if table is None else self._rows(target, table, None)
        if table is None or rows is None:
            return None
        return TableState(
            name=name,
            partition=partition,
            version=table.version(),
            digest=content_digest(rows),
            row_count=rows.num_rows,
        )

    def partitions(self, name: str) -> list[str]:
        """Partitions that were written, in order; empty for a table that does not exist."""
        table = self._newest(name)
        return [] if table is None else sorted({partition for partition, _, _ in live_files(table)})

    def version(self, name: str) -> int | None:
        """The newest version; None for a table that does not exist."""
        table = self._newest(name)
        return None if table is None else table.version()

    def _rows(self, target: "PartitionTarget", table: "DeltaTable", columns: Sequence[str] | None) -> "pa.Table | None":
        import pyarrow as pa

        folder, parts = self._folder(target.name), []
        # Sorted, as the log keeps no order; a table of another writer may hold several files a partition.
        for partition, path, row_count in sorted(live_files(table)):
            if partition != target.partition:
                continue
            file = f"Reading file {path} of table '{target.name}' in {self.root}"
            with mapped(file, damaged=target.file_remedy):
                part = folder.read(path, columns)
            if columns is not None:
                part = selected(target.name, part, columns, table_columns(table).names)
            if row_count is not None and part.num_rows != row_count:
                message = f"{file} found {part.num_rows} rows, but {row_count} were written. {target.file_remedy}"
                raise DataRejectedError(message)
            parts.append(part)
        return plain(target.name, pa.concat_tables(parts)) if parts else None

    def _newest(self, name: str) -> "DeltaTable | None":
        from deltalake.exceptions import TableNotFoundError

        # Taken out first: a table that fails to update is opened anew the next time.
        table = self._opened.pop((name, None), None)
        if table is not None and not self._folder(name).has_log(table.version()):
            table = None  # the table was moved away since, and perhaps built anew
        with self._opening(name):
            try:
                if table is None:
                    table = self._open(name, None)
                else:
                    table.update_incremental()
            except TableNotFoundError:
                return None
        self._opened[name, None] = table
        return table

    def _at(self, name: str, version: int | None) -> "DeltaTable | None":
        newest = self._newest(name)
        if newest is None or version is None or newest.version() == version:
            return newest
        if version > newest.version() or version < 0:
            raise no_version(name, version, newest.version())
        if (name, version) not in self._opened:
            with self._opening(name):
                self._opened[name, version] = self._open(name, version)
        return self._opened[name, version]

    @contextmanager
    def _opening(self, name: str) -> Iterator[None]:
        """Whatever fails when a table is opened becomes an error of the tree, with the damaged file of its log."""
        try:
            with mapped(f"Opening table '{name}' in {self.root}", damaged=PartitionTarget(name, "").remedy):
                yield
        except DataRejectedError as error:
            with mapped(
                f"Looking through the log of table '{name}' in {self.root}", damaged=PartitionTarget(name, "").remedy
            ):
                damage = self._folder(name).damage()
            raise DataRejectedError(f"{damage}{error}") from error

    def _open(self, name: str, version: int | None) -> "DeltaTable":
        from deltalake import DeltaTable

        folder = self._folder(name)
        return DeltaTable(folder.uri, version=version, storage_options=dict(folder.options) or None)

    def _folder(self, name: str) -> TableFolder:
        return TableFolder(f"{self.root}/{checked_table(name)}", self.options)
