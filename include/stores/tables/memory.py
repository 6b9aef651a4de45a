"""
Tables that are forgotten with the process: the promises of the real ones, for tests of steps and projects.

One store is one installation for as long as the process lives; nothing is shared between processes.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.contract.receipt import TableState
from include.stores.tables.content import content_digest, plain
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


@dataclass
class MemoryTables:
    """See :class:`~include.stores.tables.protocol.TableStore`."""

    stamps: list[Mapping[str, str]] = field(default_factory=list)
    """What each write was stamped with, in order."""
    _versions: "dict[str, list[dict[str, pa.Table]]]" = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def write(
        self,
        name: str,
        partition: str,
        rows: "pa.Table",
        *,
        stamp: Mapping[str, str],
        fence: Callable[[], None] | None = None,
    ) -> TableState:
        """Replace one partition by these rows."""
        checked_table(name)
        checked_partition(partition)
        rows = plain(name, rows)
        with self._lock:
            versions = self._versions.setdefault(name, [])
            before = versions[-1] if versions else {}
            for other in before.values():
                check_columns(name, other.schema, rows.schema)
            if fence is not None:
                fence()
            versions.append({**before, partition: rows})
            self.stamps.append(dict(stamp))
            number = len(versions) - 1
        return _state(name, partition, number, rows)

    def read(
        self, name: str, partition: str, *, version: int | None = None, columns: Sequence[str] | None = None
    ) -> "pa.Table":
        """One partition's rows, in the order in which they were written."""
        held = self._find(name, partition, version)
        if held is None:
            raise never_written(name, partition, version)
        return held[1] if columns is None else selected(name, held[1], columns, held[1].column_names)

    def state(self, name: str, partition: str, *, version: int | None = None) -> TableState | None:
        """What the partition holds; None if it was never written."""
        held = self._find(name, partition, version)
        return None if held is None else _state(name, partition, *held)

    def partitions(self, name: str) -> list[str]:
        """Partitions that were written, in order."""
        versions = self._versions.get(checked_table(name))
        return sorted(versions[-1]) if versions else []

    def version(self, name: str) -> int | None:
        """The newest version; None for a table that does not exist."""
        versions = self._versions.get(checked_table(name))
        return len(versions) - 1 if versions else None

    def _find(self, name: str, partition: str, version: int | None) -> "tuple[int, pa.Table] | None":
        checked_partition(partition)
        versions = self._versions.get(checked_table(name))
        if not versions:
            return None
        number = len(versions) - 1 if version is None else version
        if not 0 <= number < len(versions):
            raise no_version(name, number, len(versions) - 1)
        rows = versions[number].get(partition)
        return None if rows is None else (number, rows)


def _state(name: str, partition: str, version: int, rows: "pa.Table") -> TableState:
    digest = content_digest(rows)
    return TableState(name=name, partition=partition, version=version, digest=digest, row_count=rows.num_rows)
