"""Reads a project's ``project.yaml``, and turns each mistake in it into a message with file, key and value."""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from include.errors import ConfigurationError, listed, near
from include.spec.project import ProjectSpec

FILE_NAME = "project.yaml"


def projects_folder() -> Path:
    """``include/projects``, which holds one folder for each project; its path is relative to this file."""
    return Path(__file__).resolve().parent.parent / "projects"


def project_names(folder: Path | None = None) -> list[str]:
    """Names of all projects, sorted: the folders with a ``project.yaml``."""
    return sorted(path.parent.name for path in (folder or projects_folder()).glob(f"*/{FILE_NAME}"))


def load_project(name: str, folder: Path | None = None) -> ProjectSpec:
    """
    Read one project's spec.

    :param folder: of all projects; ``include/projects`` if left out.
    :raises ConfigurationError: if there is no such project, or with file, key, value and a near name for each mistake
        in its spec, at most ten.
    """
    root = folder or projects_folder()
    path = root / name / FILE_NAME
    if not path.is_file():
        known = project_names(root)
        message = (
            f"There is no project '{name}' ({FILE_NAME} expected in include/projects/{name}); known: {listed(known)}."
        )
        raise ConfigurationError(message + near(name, known))
    stat = path.stat()
    spec = _read(path, stat.st_mtime_ns, stat.st_size)
    if spec.name != name:
        message = f"{shown(path)}: name is '{spec.name}', but the project's folder is '{name}'. Make them the same."
        raise ConfigurationError(message)
    return spec


# Cached by time and size: the DAG processor lives long and parses the same specs again every half minute.
@lru_cache(maxsize=32)
def _read(path: Path, _modified_ns: int, _size_bytes: int) -> ProjectSpec:
    return parse_project(path.read_text(encoding="utf-8"), path)


def parse_project(text: str, path: Path) -> ProjectSpec:
    """
    Turn the text of a spec into a model.

    :param path: of the file, for messages.
    :raises ConfigurationError: if the text is not YAML or not a valid spec.
    """
    try:
        raw = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 (a safe loader, with a check for duplicates)
    except yaml.YAMLError as error:
        message = f"{shown(path)} is not YAML: {' '.join(str(error).split())}"
        raise ConfigurationError(message) from error
    try:
        return ProjectSpec.model_validate(raw)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_sentences(error, path))) from error


def shown(path: Path) -> str:
    """The path relative to the bundle's root, for messages: ``include/projects/flights/project.yaml``."""
    parts = path.parts
    return "/".join(parts[parts.index("include") :]) if "include" in parts else str(path)


def _sentences(error: ValidationError, path: Path) -> Iterator[str]:
    for detail in error.errors(include_url=False)[:10]:
        yield f"{shown(path)}: {_where(detail)}{_what(detail)}"


def _where(detail: ErrorDetails) -> str:
    text = ""
    for part in detail["loc"]:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return f"{text}: " if text else ""


def _what(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")  # pydantic puts that before the message of a ValueError
    context = detail.get("ctx", {})
    if detail["type"] == "missing":
        return "is missing; the spec needs it"
    if detail["type"] == "union_tag_invalid":
        known = _words(context["expected_tags"])
        word = context["discriminator"].strip("'")
        return f"{word} is '{context['tag']}'; known: {listed(known)}.{near(context['tag'], known)}"
    if detail["type"] in {"unknown_key", "value_error", "duration"}:
        return message
    value = detail["input"]
    # Of a mapping or a list the value is left out: it would be half the file.
    shown_value = f"is {value!r}: " if isinstance(value, str | int | float | bool | type(None)) else ""
    expected = context.get("expected")
    hint = near(str(value), _words(expected)) if isinstance(expected, str) else ""
    return f"{shown_value}{message}.{hint}" if hint else f"{shown_value}{message}"


def _words(text: str) -> list[str]:
    """The names in a list of pydantic's: ``'a', 'b' or 'c'``."""
    return [word.strip(" '") for word in text.replace(" or ", ", ").split(",")]


# The C loader reads a spec ten times as fast; PyYAML lacks it where it was built without libyaml.
_BOOLEAN = "tag:yaml.org,2002:bool"
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeyLoader(_SafeLoader):
    """A safe loader that refuses a key that occurs twice in a mapping; PyYAML takes the second without a message."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            mark = key_node.start_mark
            message = f"key '{key}' occurs twice, again in line {mark.line + 1}"
            raise yaml.constructor.ConstructorError(None, None, message, mark)
        seen.add(key)
    mapping: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return mapping


# YAML 1.1 reads on, off, yes and no as booleans; a join is written with the key "on".
_UniqueKeyLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOLEAN]
    for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
}
_UniqueKeyLoader.add_implicit_resolver(_BOOLEAN, re.compile("^(?:true|false)$"), ["t", "f"])
_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)
