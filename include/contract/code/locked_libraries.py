"""The pinned libraries behind some imported modules, read from the lock file: equal wherever the same lock lies."""

import re
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

DISTRIBUTIONS: Mapping[str, tuple[str, ...]] = {
    "sklearn": ("scikit-learn",),
    "sqlalchemy": ("sqlalchemy", "psycopg2-binary"),  # the driver is chosen by a connection's URL and imported nowhere
    "yaml": ("pyyaml",),
}
"""Distributions of a top-level module whose name is not its distribution's, or which loads others by name."""
_REQUIREMENT = re.compile(r"\n([A-Za-z0-9][A-Za-z0-9._-]*)==[^\n]*(?:\n    [^\n]*)*")
_NEEDED_BY = re.compile(r"^    # {1,3}(?:via )?([A-Za-z0-9][A-Za-z0-9._-]*)$", re.MULTILINE)


@dataclass(frozen=True)
class Lock:
    """A lock file, as ``uv pip compile`` writes it: each requirement with its hashes and with what needs it."""

    text: str
    requirements: Mapping[str, tuple[str, ...]]
    """By distribution: the pinned versions, one for each environment marker, with their hashes."""
    needs: Mapping[str, tuple[str, ...]]
    """By distribution: what it needs itself."""

    def pins(self, modules: Collection[str]) -> list[str]:
        """
        Everything pinned that modules come from, directly or not; the whole lock where a module's origin is unclear.

        :param modules: names of top-level modules; those of the standard library are of no distribution.
        """
        foreign = sorted(set(modules) - sys.stdlib_module_names)
        wanted = {name for module in foreign for name in DISTRIBUTIONS.get(module, (_normal(module),))}
        if not wanted <= self.requirements.keys():
            return [self.text]
        needed: set[str] = set()
        while wanted:
            needed |= wanted
            wanted = {need for name in wanted for need in self.needs.get(name, ())} - needed
        return [pin for name in sorted(needed) for pin in self.requirements[name]]


def read_lock(path: Path) -> Lock:
    """The lock file; kept until it changes."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return Lock("", {}, {})
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, _modified_ns: int, _size_bytes: int) -> Lock:
    text = path.read_text(encoding="utf-8")
    requirements: dict[str, tuple[str, ...]] = {}
    needs: dict[str, tuple[str, ...]] = {}
    has_origins = True
    for match in _REQUIREMENT.finditer(f"\n{text}"):
        name = _normal(match[1])
        pin, origin, parents = match[0].partition("\n    # via")
        has_origins = has_origins and bool(origin)
        requirements[name] = (*requirements.get(name, ()), pin.strip())
        for parent in _NEEDED_BY.findall(f"    # via{parents}"):
            needs[_normal(parent)] = (*needs.get(_normal(parent), ()), name)
    # Written without annotations, a lock does not show what needs a library: then all of it counts.
    return Lock(text, requirements if has_origins else {}, needs)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
