"""What ``make check`` does: runs the tools, measures sizes, and compares lock files with their sources."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from local_platform.console import Console
from local_platform.locations import REPOSITORY

CODE = ("benchmarks", "dags", "docs", "include", "local_platform", "plugins", "tests")
MODULE_LINES = 400
FOLDER_MODULES = 15
"""Beside ``__init__.py``: more than a reader can keep in mind after one look."""
FUNCTION_LINES = 40
"""Without the docstring, which is the contract and may be as long as it has to."""
LOCKS = {
    "requirements.in": "requirements.txt",
    "include/requirements.in": "include/requirements.txt",
    "requirements-dev.in": "requirements-dev.txt",
}
PASSED, FAILED = "green", "red"
WHOLE_LOCK = "requirements-dev.txt"
Part = Callable[[], str]
"""One part of the check: returns its findings as text, empty if there are none."""


def check(console: Console, repository: Path = REPOSITORY, parts: Sequence[str] = ()) -> int:
    """
    Run all parts of the check, also after one has failed.

    :param parts: names of the parts to check; all where none is named.
    :return: exit code: 0 without findings, 1 with findings or for a part that does not exist.
    """
    known = parts_of(repository)
    unknown = [part for part in parts if part not in known]
    if unknown:
        console.say(f"make check: there is no part {', '.join(unknown)}; known: {', '.join(known)}.")
        return 1
    failed: list[str] = []
    for name in parts or known:
        with console.live(f"{name} …"):
            finding = known[name]()
        _report(console, name, finding, failed)
    if failed:
        console.say(f"make check: {', '.join(failed)} failed", style=FAILED)
    else:
        console.say("make check: all is well", style=PASSED)
    return 1 if failed else 0


def site_words(repository: Path) -> list[str]:
    """
    The command that builds the documentation site; a warning fails it.

    All pages are read again: Sphinx does not repeat its warnings about a page that has not changed.
    """
    target = repository / ".state" / "docs"
    # -n: a broken cross-reference is a warning too; -E: no cache of pages; -d: caches outside the published folder.
    words = ["-W", "--keep-going", "-n", "-q", "-E", "-d", str(target / "doctrees"), "-b", "html"]
    return [sys.executable, "-m", "sphinx", *words, str(repository / "docs"), str(target / "html")]


def sizes(repository: Path) -> Iterator[str]:
    """Folders, modules and functions that are too long to be read in one go."""
    yield from _crowded(repository)
    for path in _modules(repository):
        text = path.read_text()
        where = path.relative_to(repository)
        lines = text.count("\n")
        if lines > MODULE_LINES:
            yield f"{where} has {lines} lines; {MODULE_LINES} is the limit: split it by what it holds."
        for function in ast.walk(ast.parse(text, str(where))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                length = _length(function)
                if length > FUNCTION_LINES:
                    what = f"{function.name}() has {length} lines without its docstring"
                    yield f"{where}:{function.lineno}: {what}; {FUNCTION_LINES} is the limit."


def _crowded(repository: Path) -> Iterator[str]:
    modules = Counter(path.parent for path in _modules(repository) if path.name != "__init__.py")
    for folder, count in modules.items():
        if count > FOLDER_MODULES:
            where = folder.relative_to(repository)
            yield f"{where} holds {count} modules; {FOLDER_MODULES} is the limit: give what belongs together a folder."


def lock_files(repository: Path) -> Iterator[str]:
    """Requirements that a lock file does not meet, and packages of which two lock files pin different versions."""
    whole = locked(repository / WHOLE_LOCK)
    for source, lock in LOCKS.items():
        pinned = locked(repository / lock)
        advice = f"Make it anew with the command in the first lines of {lock}."
        for wanted in _wanted(repository / source):
            version = pinned.get(canonicalize_name(wanted.name))
            if version is None:
                yield f"{lock} does not hold {wanted.name}, which {source} names. {advice}"
            elif not wanted.specifier.contains(version, prereleases=True):
                yield f"{lock} holds {wanted.name} {version}, and {source} wants {wanted.specifier}. {advice}"
        for name, version in pinned.items():
            if whole.get(name) != version:
                yield f"{lock} holds {name} {version}, and {WHOLE_LOCK} holds {whole.get(name, 'none')}. {advice}"


def locked(lock: Path) -> dict[str, str]:
    """Name and version of everything in a lock file."""
    versions: dict[str, str] = {}
    for line in lock.read_text().splitlines():
        name, pinned, rest = line.partition("==")
        # uv writes a package's hashes and origins below it, indented or as comments.
        if pinned and not line.startswith((" ", "#")):
            versions[canonicalize_name(name.partition("[")[0])] = rest.split()[0].rstrip(";")
    return versions


def _wanted(source: Path) -> Iterator[Requirement]:
    for line in source.read_text().splitlines():
        words = line.partition("#")[0].strip()
        if words.startswith("-r "):
            yield from _wanted(source.parent / words.removeprefix("-r ").strip())
        elif words:
            yield Requirement(words)


def parts_of(repository: Path) -> dict[str, Part]:
    """The parts of the check, by name."""
    tools = {name: partial(_finding_of, words, repository) for name, words in _tools(repository).items()}
    return tools | {
        "sizes": lambda: "\n".join(sizes(repository)),
        "locks": lambda: "\n".join(lock_files(repository)),
    }


def _finding_of(words: Sequence[str], repository: Path) -> str:
    done = subprocess.run(words, cwd=repository, check=False, text=True, capture_output=True)
    return f"{done.stdout}{done.stderr}".strip() if done.returncode else ""


def _tools(repository: Path) -> dict[str, Sequence[str]]:
    tools = Path(sys.executable).parent
    folders = [name for name in CODE if any((repository / name).rglob("*.py"))]
    site = {"docs": site_words(repository)} if (repository / "docs" / "conf.py").exists() else {}
    return {
        "format": (str(tools / "ruff"), "format", "--check", "."),
        "style": (str(tools / "ruff"), "check", "."),
        "types": (sys.executable, "-m", "mypy", *folders),
        "imports": (str(tools / "lint-imports"),),
        **site,
    }


def _report(console: Console, name: str, finding: str, failed: list[str]) -> None:
    console.say(f"  {name:<12} {'failed' if finding else 'ok'}", style=FAILED if finding else PASSED)
    if finding:
        console.say(finding)
        failed.append(name)


def _modules(repository: Path) -> Iterator[Path]:
    for folder in CODE:
        yield from sorted((repository / folder).rglob("*.py"))


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is None:
        return whole
    # ast counts a docstring as the function's first statement.
    return whole - ((first.end_lineno or first.lineno) - first.lineno + 1)
