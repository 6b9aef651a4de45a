"""Docstrings below assignments: what constants, members of enumerations and fields of dataclasses mean."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from types import ModuleType


def documented(holder: ModuleType | type) -> dict[str, str]:
    """
    Names that are assigned in a module or a class, with the docstring below each; empty where there is none.

    :return: in the order of the source.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(holder)))
    first = tree.body[0]
    body = first.body if isinstance(first, ast.ClassDef) and isinstance(holder, type) else tree.body
    return dict(_pairs(body))


def _pairs(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement, following in zip(body, [*body[1:], None], strict=True):
        target = _target(statement)
        if target is not None:
            yield target, _text(following)


def _target(statement: ast.stmt) -> str | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        (target,) = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        target = statement.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _text(statement: ast.stmt | None) -> str:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return inspect.cleandoc(str(statement.value.value))
    return ""
