"""The command lines: what ``--help`` of each prints, and the targets of the Makefile."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from docs._ext.markdown import cell, code, table
from include.governance.__main__ import parser as governance_parser
from include.runtime.cli import parser as steps_parser
from include.serving.__main__ import parser as serving_parser

MAKEFILE = Path(__file__).resolve().parent.parent.parent / "Makefile"
TARGET = re.compile(r"^([a-z-]+):.*## (.+)$", re.MULTILINE)


def make_markdown() -> str:
    """A table of the targets, as ``make help`` lists them."""
    return table(("command", "what it does"), [(code(f"make {name}"), what) for name, what in targets().items()])


def targets() -> dict[str, str]:
    """Name of a target -> what it does."""
    return dict(TARGET.findall(MAKEFILE.read_text()))


def markdown() -> str:
    """A section a program, and in it a section a word."""
    return "\n".join(_section(parser) for parser in (steps_parser(), governance_parser(), serving_parser()))


def _section(parser: argparse.ArgumentParser) -> str:
    words = _words(parser)
    head = f"## {code(parser.prog)}\n\n{_description(parser)}\n"
    if not words:
        return f"{head}\n{_options(parser)}"
    common = set.intersection(*(set(_option_rows(word)) for word in words.values())) if len(words) > 1 else set()
    parts = [head]
    if common:
        parts += ["Options of every word:\n", _rows_table(_ordered(words, common))]
    for name, word in words.items():
        own = [row for row in _option_rows(word) if row not in common]
        parts.append(f"### {code(name)}\n\n{_sentence(word.description or '')}\n")
        if own:
            parts.append(_rows_table(own))
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{cell(text[1:])}."


def _ordered(words: dict[str, argparse.ArgumentParser], common: set[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [row for row in _option_rows(next(iter(words.values()))) if row in common]


def _words(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 (argparse has no public list of them)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 (as above)
            return dict(action.choices)
    return {}


def _description(parser: argparse.ArgumentParser) -> str:
    return "\n\n".join(cell(paragraph) for paragraph in (parser.description or "").strip().split("\n\n"))


def _options(parser: argparse.ArgumentParser) -> str:
    return _rows_table(list(_option_rows(parser)))


def _rows_table(rows: list[tuple[str, ...]]) -> str:
    return table(("option", "", "meaning"), rows)


def _option_rows(parser: argparse.ArgumentParser) -> Iterator[tuple[str, ...]]:
    for action in parser._actions:  # noqa: SLF001 (as above)
        if action.option_strings and action.help != argparse.SUPPRESS and action.dest != "help":
            values = f" {{{','.join(map(str, action.choices))}}}" if action.choices else f" {action.dest.upper()}"
            meaning = (action.help or "") % vars(action) if "%(" in (action.help or "") else action.help or ""
            yield code(action.option_strings[0] + values), "required" if action.required else "", meaning
