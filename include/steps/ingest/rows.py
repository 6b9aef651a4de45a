"""Rows as a source holds them, before the partition's are selected and converted to the types of the spec."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.errors import DataRejectedError, listed, near
from include.spec.sources import SourceSpec

if TYPE_CHECKING:
    import pyarrow as pa


def _row_number(position: int) -> str:
    return f"row {position + 1}"


@dataclass(frozen=True, kw_only=True)
class RawRows:
    """The rows of a source, batch by batch, in the order in which they were written."""

    batches: "Iterator[pa.RecordBatch]"
    """Each has the columns of the spec, in its order and in whatever types the source has."""
    from_text: bool
    """Whether all values are text, numbers too, as in CSV."""
    ignored: tuple[str, ...] = ()
    """Columns that the spec does not name, and that are ignored by its ``new_columns``."""
    locate: Callable[[int], str] = field(default=_row_number)
    """Where the row of a position (from 0) is, for messages: ``line 17``."""


def check_columns(name: str, columns: list[str], source: SourceSpec) -> tuple[str, ...]:
    """
    Compare the columns of a source with those of the spec.

    :param name: of the source, for messages.
    :param columns: names of the source's columns, in its order.
    :return: columns that the spec does not name, where ``new_columns`` is ``ignore``.
    :raises DataRejectedError: naming the columns that are duplicated, missing, new, or apparently renamed.
    """
    duplicated = {column for column in columns if columns.count(column) > 1}
    if duplicated:
        message = f"{name} has duplicate columns: {listed(duplicated)}. Give each a name of its own at its origin."
        raise DataRejectedError(message)
    missing = [column for column in source.columns if column not in columns]
    new = [column for column in columns if column not in source.columns]
    if missing and len(missing) == len(source.columns):
        # Without a header the first line holds a row's values, so its content is not shown.
        message = f"{name} has none of the {len(missing)} columns of the spec ({listed(missing)}) in its first line. "
        raise DataRejectedError(message + f"Is there a header, and are its {len(columns)} names separated by commas?")
    if missing:
        message = f"{name} lacks columns of the spec: {listed(missing)}.{_renamed(missing, new)} "
        raise DataRejectedError(message + "Restore them at the origin, or change sources.*.columns in the spec.")
    if new and source.new_columns == "refuse":
        message = f"{name} has columns that the spec does not name: {listed(new)}. "
        message += "Describe them in sources.*.columns, or write 'new_columns: ignore'."
        raise DataRejectedError(message)
    return tuple(new)


def _renamed(missing: list[str], new: list[str]) -> str:
    if len(missing) == len(new) == 1:
        return f" Was '{missing[0]}' renamed to '{new[0]}'?"
    hints = ((column, near(column, new)) for column in missing)
    return "".join(f" Instead of '{column}':{hint}" for column, hint in hints if hint)
