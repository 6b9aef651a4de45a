"""Errors of Delta Lake, Arrow and the operating system, translated into errors of the tree."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from include.errors import ConfigurationError, DataRejectedError, PlatformError, TemporaryError, foreign

RACES = (
    "a concurrent transaction",
    "concurrent transaction failed",
    "already exists",
    "transaction failed",
    "metadata changed since last commit",
    "version already",
)
"""Beginnings and parts of deltalake's messages of a commit that another one overtook."""
# deltalake's messages come from Rust, with terminal colours and a stack of frames.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STACK = re.compile(r"\n\s*0: |\nHelp: ")
_FULL = ("no space left", "file too large", "disk quota", "os error 28", "os error 27", "os error 122")
_REFUSED = (
    "403 forbidden", "accessdenied", "access denied", "invalidaccesskeyid", "signaturedoesnotmatch", "nosuchbucket",
    "401 unauthorized", "no provider in chain", "not authorized", "permission denied", "read-only file system",
    "credential", "missing region",
)  # fmt: skip
# deltalake raises one class for everything of the store: only the text tells a silent store from a damaged table.
_SILENT = (
    "error sending request", "timed out", "timeout", "connection", "503", "500 internal", "slowdown", "slow down",
    "429", "service unavailable", "dns error", "error after", "max_retries", "retry_timeout", "502", "504",
    "http error",
)  # fmt: skip


def is_race(error: Exception) -> bool:
    """Whether a commit failed only because another one was quicker."""
    text = str(error).lower()
    return any(word in text for word in RACES)


def translated(error: Exception, doing: str, *, damaged: str) -> PlatformError:
    """
    An error of the tree for one of deltalake, Arrow or the operating system.

    :param doing: what was being done, and where: ``Writing partition '2013-03' of table 'flights/raw/weather'``.
    :param damaged: what to do if neither the store nor its settings are at fault, but what lies there.
    """
    text = str(error).lower()
    # Before the others: "os error 28" may stand in a message that also names the connection.
    if _is_full(error) or any(word in text for word in _FULL):
        message = f"{doing} failed: the disk is full. The old rows are still there; make room and run it again."
        return TemporaryError(message)
    if _holds(text, _REFUSED):
        message = f"{doing} was refused: {reason(error)}. Check the rights, ML_TABLES_URI and the AWS_… variables."
        return ConfigurationError(message)
    if _holds(text, _SILENT):
        message = f"{doing} failed: {reason(error)}. Check the store and the network, and run it again."
        return TemporaryError(message)
    return DataRejectedError(f"{doing} failed: {reason(error)}. {damaged}")


def _holds(text: str, words: tuple[str, ...]) -> bool:
    """Whether one of the words stands in the text; whole, for a file's name may hold any digits."""
    # A number must stand alone: "503" may be part of a file's name.
    ends = {word: r"(?![0-9a-z])" if word.isdigit() else "" for word in words}
    return any(re.search(rf"(?<![0-9a-z]){re.escape(word)}{end}", text) for word, end in ends.items())


def reason(error: Exception) -> str:
    """The library's message, without colours and the frames of its own stack that deltalake appends."""
    text = _COLOUR.sub("", _STACK.split(str(error), maxsplit=1)[0])
    return foreign(text.strip().rstrip(".:") or error)


def _is_full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def mapped(doing: str, *, damaged: str) -> Iterator[None]:
    """Whatever fails inside becomes an error of the tree."""
    import pyarrow as pa
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, pa.ArrowException, OSError, ValueError) as error:
        raise translated(error, doing, damaged=damaged) from error
