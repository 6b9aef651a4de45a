from enum import StrEnum

from docs._ext import docstrings
from docs._ext.docstrings import documented


class Kind(StrEnum):
    """One or the other."""

    ONE = "one"
    """The first."""
    OTHER = "other"


def test_a_member_has_the_docstring_below_it() -> None:
    assert documented(Kind) == {"ONE": "The first.", "OTHER": ""}


def test_a_module_is_read_too() -> None:
    assert documented(docstrings) == {}
