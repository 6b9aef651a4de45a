import ast
from pathlib import Path

import pytest

from include.contract.code.import_scan import imported_names

ROOT = Path(__file__).resolve().parents[4]


class Parsed(ast.NodeVisitor):
    """What Python's own parser finds."""

    def __init__(self, source: bytes) -> None:
        self.names: set[str] = set()
        self.visit(ast.parse(source))

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = "." * node.level + (node.module or "")
        self.names |= {module, *(f"{module}{'.' if node.module else ''}{alias.name}" for alias in node.names)}


def test_the_scan_finds_in_every_file_what_pythons_parser_finds_and_else_only_names_in_strings() -> None:
    paths = sorted((ROOT / "include").rglob("*.py"))
    assert len(paths) > 100
    for path in paths:
        source = path.read_bytes()
        found, expected = imported_names(source), Parsed(source).names
        assert expected <= found, path
        assert {name for name in found - expected if f'"{name}"'.encode() not in source} == set(), path


@pytest.mark.parametrize(
    "source",
    [
        "import a",
        "import a as b, c.d as e  # why",
        "import a; from b import c; x = 1; import d",
        "if a: import b",
        "try: from a import b\nexcept ImportError: b = None",
        "from a.b import (  # noqa (why)\n    c,  # one (of two)\n    d as e,\n)\nimport f",
        "from a import b, \\\n    c\nimport d, \\\n    e",
        "from . import a\nfrom .b import c\nfrom ..d import e\nfrom ... import f",
        "from a import *",
        "def f():\n    import a\n\n    async def g():\n        from b import c",
        'class A:\n    """import a\n\n    from b import c\n    """\n    import d',
        "x = '''\nimport a\n'''\nimport b",
        "x = 'it''s'; import a  # don't\ny = \"# no comment\"; import b",
        'x = "a\\"; import b"\nimport c',
        "raise E(\n    1\n) from error\nimport a",
        "def f():\n    yield from a\n    import b",
        "importa = 1\nfrom_ = 2\nimport b",
        "\r\nimport a\r\nfrom b import (\r\n    c,\r\n)\r\n",
        "if TYPE_CHECKING:\n    import a\n\n    from b import (\n        c,\n    )\nimport d",
        "import typing\nif typing.TYPE_CHECKING:\n    import a\nelse:\n    import b\nimport c",
        "def f():\n    if TYPE_CHECKING:\n        import a\n    import b",
        "if TYPE_CHECKING: import a\nimport b",
        "if not TYPE_CHECKING:\n    import a",
        "x = '''\nif TYPE_CHECKING:\n    '''\nif x:\n    import a",
        "if TYPE_CHECKING:\n    import a",
        "# -*- coding: utf-8 -*-\nimport \u00e4",
        "",
    ],
)
def test_every_way_to_write_an_import_is_understood(source: str) -> None:
    assert imported_names(source.encode()) == Parsed(source.encode()).names


def test_a_module_that_is_named_in_a_string_counts() -> None:
    source = (
        b"import_module(\n    'pandas'\n)\nrun([python, '-m', \"include.a.b\"])\nx = 'numpy', 'include', 'include/a.py'"
    )
    assert imported_names(source) == {"pandas", "include.a.b"}


@pytest.mark.parametrize(
    "source", ["import a\nfrom b import (\n", "import a\nx = '''\n", "import a\n'it's\n", "import a\n\0"]
)
def test_a_file_that_python_would_refuse_is_read_as_far_as_it_goes(source: str) -> None:
    assert "a" in imported_names(source.encode())
