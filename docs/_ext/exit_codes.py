"""Exit codes, from the tree of errors that own them."""

import inspect
from collections.abc import Iterator

from docs._ext.markdown import code, table
from include import errors

BEYOND = (
    (errors.EXIT_DONE, "", "The work is done, also where it was done already.", "success"),
    (errors.EXIT_BUG, "anything else", "A bug of the platform or of the project's code.", "retry"),
)


def markdown() -> str:
    """A table of the classes, in the order of the exit codes."""
    rows = [*BEYOND, *(_row(kind) for kind in classes())]
    shown = ((str(number), code(name) if name else "", meaning, then) for number, name, meaning, then in sorted(rows))
    return table(("exit code", "error", "meaning", "the task in Airflow"), shown)


def classes() -> list[type[errors.PlatformError]]:
    """The errors that say what is wrong: those below the root and its two branches."""
    return list(_below(errors.PlatformError))


def _below(kind: type[errors.PlatformError]) -> Iterator[type[errors.PlatformError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _below(child)


def _row(kind: type[errors.PlatformError]) -> tuple[int, str, str, str]:
    return kind.exit_code, kind.__name__, inspect.cleandoc(kind.__doc__ or ""), _verdict(kind)


def _verdict(kind: type[errors.PlatformError]) -> str:
    if issubclass(kind, errors.NothingToDoError):
        return "skipped"
    return "failed, no retry" if issubclass(kind, errors.PermanentError) else "retry"
