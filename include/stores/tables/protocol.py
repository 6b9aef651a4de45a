"""The tables as steps use them; every method that fails for a reason outside raises an error of the tree."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from include.contract.receipt import TableState

if TYPE_CHECKING:
    import pyarrow as pa


class TableStore(Protocol):
    """
    Tables of partitions; each has a string column ``partition``, which callers neither pass nor see.

    Writing replaces exactly one partition in one atomic commit: a reader sees the old rows or the new, nothing between.
    """

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
        :param fence: called before each attempt of the commit, after the table was read: what it raises ends the
            write, and a commit that came in between makes the attempt fail.
        :raises TemporaryError: if the store does not respond, is full, or the commit lost a race too often.
        :raises DataRejectedError: if the columns do not fit those that the table has.
        """

    def read(
        self, name: str, partition: str, *, version: int | None = None, columns: Sequence[str] | None = None
    ) -> "pa.Table":
        """
        One partition's rows, in the order in which they were written.

        :param version: the table's version to read; the newest one if not given.
        :raises DataRejectedError: if the partition was never written, or the table's log or files are damaged.
        """

    def state(self, name: str, partition: str, *, version: int | None = None) -> TableState | None:
        """
        What the partition holds, its digest computed anew from its rows; None if it was never written.

        :raises DataRejectedError: if the table's log or files are damaged.
        """

    def partitions(self, name: str) -> list[str]:
        """Partitions that were written, in order; empty for a table that does not exist."""

    def version(self, name: str) -> int | None:
        """The newest version; None for a table that does not exist."""
