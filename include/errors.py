"""
The platform's errors. Each class has the exit code with which a step ends, and so decides what Airflow does next.

    PlatformError
    ├── PermanentError            65 a retry would fail in the same way: fail, do not retry
    │   ├── DataRejectedError     65 the data is at fault: fail, do not retry
    │   │   ├── LeakError         65 a feature uses what was not known when the prediction was made
    │   │   ├── MissingObjectError 65 a document that must be in the object store is missing
    │   │   └── UnreadableFormatError 65 a document is of a format that this version does not read
    │   └── ConfigurationError    78 the spec, an argument or an environment variable is at fault: fail, do not retry
    ├── TemporaryError            75 a store, a server or a race is at fault: retry
    │   └── LeaseLostError        75 another attempt took over, or this one's lease was revoked: publish nothing
    └── NothingToDoError          99 there is nothing to do: skip

A message states what is wrong (with the value), where, and what to do. Any other exception is a bug: exit code 70,
retried. The numbers are those of ``sysexits.h``; 99 is not among them.
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
    """Base of all errors that the platform raises on purpose."""

    exit_code = EXIT_BUG


class PermanentError(PlatformError):
    """A retry would fail in the same way: fail, do not retry."""

    exit_code = os.EX_DATAERR


class DataRejectedError(PermanentError):
    """The data does not conform to the spec."""

    exit_code = os.EX_DATAERR


class LeakError(DataRejectedError):
    """A feature uses what was not known when the prediction was made."""


class MissingObjectError(DataRejectedError):
    """A document that must be in the object store is missing."""


class UnreadableFormatError(DataRejectedError):
    """A document was written by another version of the platform, in a format that this one does not read."""


class ConfigurationError(PermanentError):
    """A spec, an argument or an environment variable is wrong."""

    exit_code = os.EX_CONFIG


class TemporaryError(PlatformError):
    """A server did not respond, or another process was faster: the same call may succeed later."""

    exit_code = os.EX_TEMPFAIL


class LeaseLostError(TemporaryError):
    """An attempt may not publish any more: another one took over, or its lease was revoked."""


class NothingToDoError(PlatformError):
    """The step has nothing to do, for the reason in the message: the task is skipped."""

    exit_code = EXIT_NOTHING_TO_DO


def foreign(error: BaseException | str) -> str:
    """A message of another library as one line of at most 256 characters; longer ones may hold data or secrets."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= FOREIGN_TEXT_LIMIT else text[: FOREIGN_TEXT_LIMIT - 1] + "…"


def listed(names: Iterable[object]) -> str:
    """Names for a message: sorted, at most ten, and how many more there are."""
    ordered = sorted(str(name) for name in names)
    shown = ", ".join(ordered[:LISTED_AT_MOST])
    more = len(ordered) - LISTED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown


def near(name: str, known: Iterable[str]) -> str:
    """`` Did you mean '...'?`` with the nearest known name, or an empty string if none is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{matches[0]}'?" if matches else ""
