"""
One tree of errors; each class owns the exit code with which a step ends, and so what Airflow does next.

    PlatformError
    ├── PermanentError             1 by default: doing it again gives the same
    │   ├── DataRejectedError     65 the data is at fault: fail, do not retry
    │   │   ├── LeakError         65 a feature knows more than its row could have known
    │   │   ├── MissingObjectError 65 a document that should be there is not
    │   │   └── UnreadableFormatError 65 a document is of a format that this version does not read
    │   └── ConfigurationError    78 the spec, an argument or an environment variable is at fault: fail, do not retry
    ├── TemporaryError            75 a store, a server or a race is at fault: retry
    │   └── LeaseLostError        75 another try took over, or this one was called off: publish nothing
    └── NothingToDoError          99 there is nothing to do: skip

A message says what is wrong (with the value), where, and what to do. Anything that is no ``PlatformError`` is a bug:
exit code 70, retried.
"""

import difflib
import os
from collections.abc import Iterable

EXIT_DONE = 0
EXIT_BUG = os.EX_SOFTWARE
EXIT_NOTHING_TO_DO = 99
FOREIGN_TEXT_LIMIT = 256
LISTED_AT_MOST = 10


class PlatformError(Exception):
    """Root of all errors that the platform raises on purpose."""

    exit_code = EXIT_BUG


class PermanentError(PlatformError):
    """Doing it again gives the same answer: fail, do not retry."""

    exit_code = os.EX_DATAERR


class DataRejectedError(PermanentError):
    """The data is not what the spec promises."""

    exit_code = os.EX_DATAERR


class LeakError(DataRejectedError):
    """A feature knows more than its row could have known when the prediction was made."""


class MissingObjectError(DataRejectedError):
    """A document that should be in the object store is not there."""


class UnreadableFormatError(DataRejectedError):
    """A document was written by another version of the platform, in a format that this one does not read."""


class ConfigurationError(PermanentError):
    """A spec, an argument or an environment variable is wrong."""

    exit_code = os.EX_CONFIG


class TemporaryError(PlatformError):
    """Something outside did not answer or a race was lost: the same call may succeed later."""

    exit_code = os.EX_TEMPFAIL


class LeaseLostError(TemporaryError):
    """A try may not publish any more: another one took over, or it was called off."""


class NothingToDoError(PlatformError):
    """The step has nothing to do here, and says why: the task is skipped."""

    exit_code = EXIT_NOTHING_TO_DO


def foreign(error: BaseException | str) -> str:
    """One line of another library's text, cut: it may hold whatever the library saw."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= FOREIGN_TEXT_LIMIT else text[: FOREIGN_TEXT_LIMIT - 1] + "…"


def listed(names: Iterable[object]) -> str:
    """Names in order, at most ten of them, and how many more there are."""
    ordered = sorted(str(name) for name in names)
    shown = ", ".join(ordered[:LISTED_AT_MOST])
    more = len(ordered) - LISTED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown


def near(name: str, known: Iterable[str]) -> str:
    """A sentence with the nearest known name, or an empty string; begins with a space."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{found[0]}'?" if found else ""
