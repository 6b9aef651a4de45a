"""The files that a step can reach: its own, those that run it, a project's function, and all that these import."""

import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from include.contract.code.import_scan import imported_names
from include.contract.digest import digest_of
from include.contract.step_names import FUNCTIONS, STORES, StepName

PACKAGE, PROJECTS = "include", "include/projects"
RUNNER = "include.runtime.runner"
"""Runs every step, so what it imports is part of each."""
INSTALLATION = "include/stores/installation.py"
"""Imports every store, each in the property that opens it; of these a step reaches those that it may open."""
_ANY_STORE = frozenset[str]().union(*STORES.values())
_METHOD = re.compile(rb"^    def (\w+)\(", re.MULTILINE)


class Closure:
    """
    What one step of one project reaches.

    :param root: the folder that holds the package ``include``.
    """

    def __init__(self, root: Path, step: StepName, project: str) -> None:
        self.files: dict[str, str] = {}
        """Digests of the files' contents, by path from the root."""
        self.libraries: set[str] = set()
        """Top-level modules that are not the platform's; those of the standard library are among them."""
        self._root, self._step = str(root), step
        self._names: set[str] = set()
        self._add_names([RUNNER])
        self._add_folder(f"{PACKAGE}/steps/{step.value}")
        self._add_function(project)
        for folder in {path.rpartition("/")[0] for path in self.files}:
            # The package's own folder holds the lock file, and projects hold data that the receipts' parameters cover.
            if folder != PACKAGE and not folder.startswith(PROJECTS):
                self._add_data(folder)

    def _add_names(self, names: Iterable[str]) -> None:
        todo = list(names)
        while todo:
            name = todo.pop()
            if name in self._names:
                continue
            self._names.add(name)
            if name.partition(".")[0] != PACKAGE:
                self.libraries.add(name.partition(".")[0])
                continue
            for path in self._files_of(name):
                if path not in self.files:
                    todo += self._add_file(path)

    def _add_file(self, path: str) -> list[str]:
        stat = os.stat(f"{self._root}/{path}")  # noqa: PTH116 (a third of the time that a Path takes, some hundred times)
        stores = STORES[self._step] if path == INSTALLATION else None
        self.files[path], names = _scanned(f"{self._root}/{path}", stat.st_mtime_ns, stat.st_size, stores)
        return [_absolute(name, path) for name in names]

    def _files_of(self, name: str) -> Iterator[str]:
        """Files of a dotted name, with those of its packages; its last part may be a name in a module."""
        path = ""
        for part in name.split("."):
            path = f"{path}/{part}" if path else part
            if self._is_file(f"{path}/__init__.py"):
                yield f"{path}/__init__.py"
            elif self._is_file(f"{path}.py"):
                yield f"{path}.py"
                return

    def _add_folder(self, folder: str) -> None:
        """All Python files of a folder and of the folders in it, with the packages above."""
        self._add_names([folder.replace("/", ".")])
        for file in Path(self._root, folder).rglob("*.py"):
            path = file.relative_to(self._root).as_posix()
            if "/." not in path and path not in self.files:
                self._add_names(self._add_file(path))

    def _add_function(self, project: str) -> None:
        section = FUNCTIONS.get(self._step)
        if section is None:
            return
        folder = f"{PROJECTS}/{project}"
        module = function_module(Path(self._root, folder, "project.yaml"), section)
        if module and self._is_file(f"{folder}/{module}.py"):
            self._add_names([f"{folder}/{module}".replace("/", ".")])
        else:
            self._add_folder(folder)

    def _add_data(self, folder: str) -> None:
        """What lies beside modules and is none, such as a template, also in folders that are no packages."""
        with os.scandir(f"{self._root}/{folder}") as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}"
                if entry.name.startswith((".", "__pycache__")):
                    continue
                if entry.is_dir():
                    if not self._is_file(f"{path}/__init__.py"):
                        self._add_data(path)
                elif not entry.name.endswith((".py", ".pyc")):
                    self.files[path] = digest_of(Path(entry.path).read_bytes())

    def _is_file(self, path: str) -> bool:
        return os.path.isfile(f"{self._root}/{path}")  # noqa: PTH113 (as above)


@lru_cache(maxsize=2048)
def _scanned(
    path: str, _modified_ns: int, _size_bytes: int, stores: frozenset[str] | None
) -> tuple[str, frozenset[str]]:
    """Digest and imports of a file; cached until it changes."""
    source = Path(path).read_bytes()
    if stores is None:
        return digest_of(source), imported_names(source)
    head, *methods = _METHOD.split(source)
    bodies = [
        body
        for name, body in zip(methods[::2], methods[1::2], strict=True)
        if name.decode() in stores or name.decode() not in _ANY_STORE
    ]
    return digest_of(source), imported_names(b"".join([head, *bodies]))


def _absolute(name: str, path: str) -> str:
    """The name that a relative import means in a file."""
    module = name.lstrip(".")
    level = len(name) - len(module)
    if not level:
        return name
    return ".".join([*path.split("/")[:-level], *([module] if module else [])])


def function_module(path: Path, section: str) -> str | None:
    """
    The module in ``function: module:name`` of a section of ``project.yaml``, read without a YAML library.

    :return: None if ``function`` is not in a line of its own directly below the section's; then all modules count.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    blocks = re.findall(rf"^{section}:[ \t]*(?:#.*)?\n((?:(?:[ \t#].*)?(?:\n|\Z))*)", text, re.MULTILINE)
    if len(blocks) != 1:
        return None
    lines = [line for line in blocks[0].splitlines() if line.strip() and not line.lstrip().startswith("#")]
    indentation = len(lines[0]) - len(lines[0].lstrip(" ")) if lines else 0
    pattern = re.compile(rf"""[ ]{{{indentation}}}function:[ ]+(["']?)([a-z_]\w*):[a-z_]\w*\1[ ]*(?:[ ]\#.*)?""")
    modules = [match[2] for line in lines if (match := pattern.fullmatch(line))]
    return modules[0] if len(modules) == 1 else None
