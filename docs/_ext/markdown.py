"""Markdown out of values: tables whose cells cannot break them."""

from collections.abc import Iterable, Sequence


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; line breaks in cells become spaces."""
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Text for one cell: on one line, without a bar that would end it, reST literals as Markdown's."""
    return literals(" ".join(text.split())).replace("|", "\\|")


def literals(text: str) -> str:
    """Docstrings write ``code`` with two backticks, and Markdown with one."""
    return text.replace("``", "`")


def code(value: object) -> str:
    """A value as code."""
    return f"`{value}`"


def fenced(text: str) -> str:
    """A block of plain text."""
    return f"```text\n{text.strip()}\n```\n"
