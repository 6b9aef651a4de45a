"""Where things lie: keys in the object store and names of tables. Nothing else in the project builds such a key."""

import re
from enum import StrEnum

_UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]")


class Layer(StrEnum):
    """A layer of tables."""

    RAW = "raw"
    VALIDATED = "validated"
    QUARANTINE = "quarantine"
    FEATURES = "features"
    PREDICTIONS = "predictions"


def safe(word: str) -> str:
    """A word that may stand in a key or a file name: a run id holds colons and plus signs."""
    return _UNSAFE.sub("_", word)


def table_name(project: str, layer: Layer, name: str) -> str:
    """``flights/raw/weather``: the table's path below the tables' root."""
    return f"{project}/{layer.value}/{name}"


def receipts_prefix(project: str, step: str, subject: str) -> str:
    """Below it lie all receipts of one step for one subject, whatever their inputs and code."""
    return f"receipts/{project}/{step}/{subject}/"


def receipt_key(project: str, step: str, subject: str, identity: str, generation: int = 0) -> str:
    """
    Key of the receipt of one identity.

    :param generation: 0, and one more each time that sealed outputs were lost and the work was done again.
    """
    return f"{receipts_prefix(project, step, subject)}{identity}.{generation}.json"


def outcome_key(project: str, run: str, step: str, subject: str, *, attempt: int, ending: int) -> str:
    """
    How one try of one step in one run ended.

    :param ending: from 0; a try that was started twice ends twice, and the last ending counts.
    """
    return f"{attempt_prefix(project, run, step, subject, attempt)}{ending:03d}.json"


def attempt_prefix(project: str, run: str, step: str, subject: str, attempt: int) -> str:
    """Below it lie the endings of one try."""
    return f"runs/{project}/{safe(run)}/{step}/{subject}/{attempt:03d}/"


def outcomes_prefix(project: str, run: str, step: str = "") -> str:
    """Below it lie the outcomes of one run, or of one step of it."""
    prefix = f"runs/{project}/{safe(run)}/"
    return f"{prefix}{step}/" if step else prefix


def leases_prefix(project: str, run: str, step: str, subject: str) -> str:
    """Below it lie the leases of one step of one run: who may publish for it."""
    return f"leases/{project}/{safe(run)}/{step}/{subject}/"


def lease_key(prefix: str, number: int) -> str:
    """
    One lease; the one with the highest number holds.

    :param prefix: of :func:`leases_prefix`.
    :param number: from 1.
    """
    return f"{prefix}{number:06d}.json"


def renewal_key(prefix: str, number: int, renewal: int) -> str:
    """
    One renewal of a lease.

    :param renewal: from 1.
    """
    return f"{prefix}{number:06d}-{renewal:06d}.json"


def revocation_key(prefix: str, attempt: int, number: int) -> str:
    """
    The end of whatever leases a try has or takes.

    :param number: from 1; the last one counts.
    """
    return f"{prefix}revoked-{attempt:03d}-{number:03d}.json"


def memory_prefix(project: str, run: str, step: str, subject: str) -> str:
    """Below it lies what memory tries of one step in one run had when they ran out of it."""
    return f"memory/{project}/{safe(run)}/{step}/{subject}/"


def memory_key(project: str, run: str, step: str, subject: str, attempt: int) -> str:
    """The memory of one try that ran out of it."""
    return f"{memory_prefix(project, run, step, subject)}{attempt:03d}.json"


def mutex_prefix(project: str, model: str) -> str:
    """Below it lie the documents of the mutex of a model's versions and aliases."""
    # Stores hold documents by this name since before it was called a mutex.
    return f"turns/{project}/{model}/"


def mutex_key(prefix: str, number: int) -> str:
    """
    One hold of a mutex.

    :param prefix: of :func:`mutex_prefix`.
    :param number: from 1.
    """
    return f"{prefix}{number:06d}.json"


def mutex_released_key(prefix: str, number: int) -> str:
    """Says that a hold is over."""
    return f"{prefix}{number:06d}-over.json"


def report_key(project: str, step: str, subject: str, identity: str, name: str) -> str:
    """A report that a step wrote: HTML, Markdown, JSON or an image."""
    return f"reports/{project}/{step}/{subject}/{identity}/{name}"


def bundle_prefix(project: str, digest: str) -> str:
    """Below it lie the files of one sealed model bundle."""
    return f"bundles/{project}/{safe(digest)}/"


def ledger_prefix(project: str, model: str) -> str:
    """Below it lie the numbered entries of one model's promotions."""
    return f"ledger/{project}/{model}/"


def ledger_key(project: str, model: str, number: int) -> str:
    """One entry of the ledger; created once."""
    return f"{ledger_prefix(project, model)}{number:06d}.json"
