"""
What a Python file imports, read from its text: nothing is imported, and a file that Python would refuse is read, too.

Parsing a step's files takes 0.15 s, which each call of a step and each task would pay; this takes a tenth of it. A test
compares it with Python's own parser on every file of the platform.
"""

import re
from collections.abc import Iterator

_STATEMENT = rb"(?:from|import)\b(?:\((?:#[^\n]*|[^)#])*\)|\\\r?\n|[^\n;#(])*"
# A block for type checkers: the line, and those below it that are blank or stand further in.
_GUARDED = (
    rb"\n(?P<margin>[ \t]*)if[ \t]+(?:typing\.)?TYPE_CHECKING[ \t]*:[^\n]*"
    rb"(?:\n(?:(?P=margin)[ \t]+[^\n]*|[ \t\r]*(?=\n|\Z)))*"
)
_TOKENS = (
    rb'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""',
    rb"'''[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'''",
    rb'"(?P<double>(?:\\.|[^"\\\n])*)"',
    rb"'(?P<single>(?:\\.|[^'\\\n])*)'",
    rb"#[^\n]*",
    _GUARDED,
    rb"\n[ \t]*(?P<line>%s)" % _STATEMENT,
    rb";[ \t]*(?P<next>%s)" % _STATEMENT,
    rb":[ \t]*(?P<body>%s)" % _STATEMENT,
)
# Each begins with a literal: the engine then goes from one such character to the next at once.
_TOKEN = re.compile(b"|".join(_TOKENS), re.DOTALL)
_FROM = re.compile(rb"from\s*(\.*)\s*([\w.]*)\s+import\b\s*(.*)", re.DOTALL)
_MODULE = re.compile(rb"include(?:\.[a-z_]\w*)+")
_CALL = re.compile(rb"import_module\(\s*\Z")
_CALL_LENGTH = 40
_COMMENT = re.compile(rb"#[^\n]*|\\\r?\n")


def imported_names(source: bytes) -> frozenset[str]:
    """
    Dotted names that a file imports, anywhere in it but under ``if TYPE_CHECKING``.

    ``from a.b import c`` gives ``a.b`` and ``a.b.c``, for ``c`` may be a module; a relative import keeps its dots. A
    string that is a module's name counts as well, as in ``import_module("pandas")`` or alone as ``"include.serving"``:
    that is how a module is imported by its name, or run by a process of its own.
    """
    return frozenset(_names(b"\n" + source))


def _names(source: bytes) -> Iterator[str]:
    for token in _TOKEN.finditer(source):
        kind = token.lastgroup
        if kind in {"double", "single"}:
            text = token[kind]
            before = max(0, token.start() - _CALL_LENGTH)
            if _MODULE.fullmatch(text) or _CALL.search(source, before, token.start()):
                yield text.decode(errors="replace")
        elif kind in {"line", "next", "body"}:
            yield from _of_statement(token[kind])


def _of_statement(statement: bytes) -> Iterator[str]:
    text = _COMMENT.sub(b"", statement)
    match = _FROM.fullmatch(text)
    if match is None:
        if text.startswith(b"import"):
            yield from (
                name.split()[0] for name in text[len("import") :].decode(errors="replace").split(",") if name.strip()
            )
        return
    dots, module, names = (part.decode(errors="replace") for part in match.groups())
    yield dots + module
    for name in names.strip("() \t\r\n").split(","):
        if name.strip():
            yield f"{dots}{module}{'.' if module else ''}{name.split()[0]}"
