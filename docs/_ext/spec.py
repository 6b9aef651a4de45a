"""``project.yaml``, from the models that read it: a table a model, in the order in which a reader meets them."""

import inspect
import types
import typing
from collections.abc import Iterator
from enum import Enum
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs._ext.markdown import code, literals, table
from include.spec import execution, resources, strict
from include.spec.project import ProjectSpec
from include.spec.strict import StrictModel

WORDS = {
    "duration": strict.Duration,
    "name": strict.Name,
    "share, 0 to 1": strict.Share,
    "`module:function`": strict.FunctionName,
    "memory": resources.Memory,
    "cron expression": execution.Cron,
}
"""How the spec's own types are called; the page says how each is written."""
PLAIN = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", types.NoneType: "nothing"}
LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "min_length": "at least"}


def markdown() -> str:
    """A section a model: its meaning, and for each key type, default and meaning."""
    return "\n".join(_section(model) for model in models())


def models() -> list[type[StrictModel]]:
    """All models of the spec, each before those that only it leads to."""
    found: list[type[StrictModel]] = []
    _collect(ProjectSpec, found)
    return found


def _collect(model: type[StrictModel], found: list[type[StrictModel]]) -> None:
    if model in found:
        return
    found.append(model)
    for name in model.model_fields:
        for inner in _models_in(_hint(model, name)):
            _collect(inner, found)


def _models_in(hint: object) -> Iterator[type[StrictModel]]:
    if isinstance(hint, type) and issubclass(hint, StrictModel):
        yield hint
    for part in typing.get_args(hint):
        yield from _models_in(part)


def _section(model: type[StrictModel]) -> str:
    rows = [_row(model, name, field) for name, field in model.model_fields.items()]
    head = f"({_anchor(model)})=\n## {model.__name__}\n\n{literals(inspect.cleandoc(model.__doc__ or ''))}\n"
    return f"{head}\n{table(('key', 'type', 'default', 'meaning'), rows)}"


def _row(model: type[StrictModel], name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    limits = ", ".join(_limits(field))
    kind = type_text(_hint(model, name))
    return (
        code(field.alias or name),
        f"{kind}, {limits}" if limits and kind in PLAIN.values() else kind,
        _default(field),
        field.description or "",
    )


def _limits(field: FieldInfo) -> Iterator[str]:
    for constraint in field.metadata:
        for attribute, words in LIMITS.items():
            limit = getattr(constraint, attribute, None)
            if limit is not None:
                yield f"{words} {limit:g}{' characters' if attribute == 'min_length' else ''}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default if field.default is not PydanticUndefined else field.get_default(call_default_factory=True)
    if isinstance(value, StrictModel):
        return "its own defaults"
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, bool):
        return code(str(value).lower())
    return ", ".join(code(part or '""') for part in value) if isinstance(value, tuple) else code(value)


def type_text(hint: object) -> str:
    """A type in words; a model is a link to its section."""
    for word, known in WORDS.items():
        if hint == known:
            return word
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return type_text(inner[0])
    return _generic(origin, inner) or _plain(hint)


def _generic(origin: object, inner: tuple[Any, ...]) -> str:
    if origin is typing.Literal:
        return " or ".join(code(value.value if isinstance(value, Enum) else value) for value in inner)
    if origin in {types.UnionType, typing.Union}:
        return " or ".join(type_text(part) for part in inner if part is not types.NoneType)
    if origin is tuple:
        return f"list of {type_text(inner[0])}"
    if origin is dict:
        return f"mapping of {type_text(inner[0])} to {type_text(inner[1])}"
    return ""


def _plain(hint: object) -> str:
    if isinstance(hint, type) and issubclass(hint, StrictModel):
        return f"[{hint.__name__}](#{_anchor(hint)})"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(code(member.value) for member in hint)
    if isinstance(hint, type) and hint in PLAIN:
        return PLAIN[hint]
    return getattr(hint, "__name__", str(hint))


def _hint(model: type[StrictModel], name: str) -> object:
    return typing.get_type_hints(model, include_extras=True)[name]


def _anchor(model: type[StrictModel]) -> str:
    return f"spec-{model.__name__.lower()}"
