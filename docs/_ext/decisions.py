"""The list of decisions, from the first lines of each record."""

import re
from pathlib import Path

from docs._ext.markdown import table

FOLDER = Path(__file__).resolve().parent.parent / "adr"


def markdown() -> str:
    """A table of all records, in order."""
    return table(("", "decision", "status"), [_row(path) for path in records()])


def records(folder: Path = FOLDER) -> list[Path]:
    """The files, in order of their numbers."""
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]-*.md"))


def _row(path: Path) -> tuple[str, str, str]:
    text = path.read_text()
    title = re.match(r"# (\d+)\. (.+)\n", text)
    status = re.search(r"^Status: (.+)$", text, re.MULTILINE)
    if title is None or status is None:
        message = f"{path.name} must begin with '# NUMBER. TITLE' and have a line 'Status: …'."
        raise ValueError(message)
    return title[1], f"[{title[2]}](/adr/{path.name})", status[1]
