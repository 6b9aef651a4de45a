"""Names of tables and partitions, and which columns fit a table: the same rules for every store of tables."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from include.errors import ConfigurationError, DataRejectedError, listed, near

if TYPE_CHECKING:
    import pyarrow as pa

_TABLE = re.compile(r"[a-z0-9_]+(/[a-z0-9_]+)*")
# The partition is a folder's name and a value in a filter: nothing that either would have to escape.
_PARTITION = re.compile(r"[A-Za-z0-9_-]+")


def checked_table(name: str) -> str:
    """
    The name, if it is one of a table.

    :raises ConfigurationError: if it is not; it could lead out of the store.
    """
    if not _TABLE.fullmatch(name):
        message = f"'{name}' is no name of a table; use lower-case words between slashes, like flights/raw/weather."
        raise ConfigurationError(message)
    return name


def checked_partition(partition: str) -> str:
    """
    The partition, if it may be one.

    :raises ConfigurationError: if it may not.
    """
    if not _PARTITION.fullmatch(partition):
        message = f"'{partition}' is no partition; write it like 2013-03 or 2013-03-09."
        raise ConfigurationError(message)
    return partition


def check_columns(name: str, has: "pa.Schema", given: "pa.Schema") -> None:
    """
    Refuse rows of other columns than the table's; their order may differ.

    :raises DataRejectedError: naming what is missing, new or of another type.
    """
    # Delta Lake would take a new column (schema evolution), and leave null in the partitions written before.
    old, new = ({column.name: str(column.type) for column in schema} for schema in (has, given))
    other = [f"{name} ({old[name]}, now {new[name]})" for name in old.keys() & new.keys() if old[name] != new[name]]
    differences = {"missing": old.keys() - new.keys(), "new": new.keys() - old.keys(), "of another type": other}
    problems = [f"{what}: {listed(columns)}" for what, columns in differences.items() if columns]
    if problems:
        message = (
            f"The columns do not fit table '{name}'; {'; '.join(problems)}. Give the rows the table's columns. If the "
        )
        message += (
            "change is meant, raise the feature set's version or move the table away, and run its partitions again."
        )
        raise DataRejectedError(message)


def selected(name: str, rows: "pa.Table", columns: Sequence[str], known: Sequence[str]) -> "pa.Table":
    """
    Some of the columns, in this order.

    :param rows: at least those of the columns that exist.
    :param known: all columns of the table.
    :raises DataRejectedError: if the table does not have one of them.
    """
    missing = [column for column in columns if column not in rows.column_names]
    if missing:
        message = f"Table '{name}' has no column {listed(missing)}.{near(missing[0], known)}"
        raise DataRejectedError(message + " Name columns that it has.")
    return rows.select(list(columns))


def never_written(name: str, partition: str, version: int | None) -> DataRejectedError:
    """The error of reading a partition that is not there."""
    when = "" if version is None else f" in version {version}"
    message = f"Partition '{partition}' of table '{name}' was never written{when}."
    return DataRejectedError(f"{message} Run the step that writes it for {partition} first.")


def no_version(name: str, version: int, newest: int) -> DataRejectedError:
    """The error of reading a version that is not there."""
    message = f"Table '{name}' has no version {version}; its newest is {newest}."
    return DataRejectedError(f"{message} Restore the table, or run again the step that wrote that version.")
