"""Keys in the object store and names of tables. No other module builds such a key."""

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
    """A word as part of a key or a file name: other characters become ``_``. A run id, for example, has colons."""
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
    The outcome of one attempt of one step in one run.

    :param ending: from 0; an attempt that was started twice ends twice, and the last ending counts.
    """
    return f"{attempt_prefix(project, run, step, subject, attempt)}{ending:03d}.json"


def attempt_prefix(project: str, run: str, step: str, subject: str, attempt: int) -> str:
    """Below it lie the outcomes of one attempt."""
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
    # Numbers have leading zeros everywhere, for stores list keys as text, and the last one must be the highest.
    return f"{prefix}{number:06d}.json"


def renewal_key(prefix: str, number: int, renewal: int) -> str:
    """
    One renewal of a lease.

    :param renewal: from 1.
    """
    return f"{prefix}{number:06d}-{renewal:06d}.json"


def revocation_key(prefix: str, attempt: int, number: int) -> str:
    """
    The revocation of all leases that an attempt has or takes.

    :param number: from 1; the last one counts.
    """
    return f"{prefix}revoked-{attempt:03d}-{number:03d}.json"


def memory_prefix(project: str, run: str, step: str, subject: str) -> str:
    """Below it lie the memory limits of those attempts of one step in one run that ran out of memory."""
    return f"memory/{project}/{safe(run)}/{step}/{subject}/"


def memory_key(project: str, run: str, step: str, subject: str, attempt: int) -> str:
    """The memory limit of one attempt that ran out of it."""
    return f"{memory_prefix(project, run, step, subject)}{attempt:03d}.json"


def mutex_prefix(project: str, model: str) -> str:
    """Below it lie the documents of the mutex of a model's versions and aliases."""
    # "turns" is the mutex's former name: a key is never renamed, for two versions may run at once.
    return f"turns/{project}/{model}/"


def mutex_key(prefix: str, number: int) -> str:
    """
    One hold of a mutex.

    :param prefix: of :func:`mutex_prefix`.
    :param number: from 1.
    """
    return f"{prefix}{number:06d}.json"


def mutex_released_key(prefix: str, number: int) -> str:
    """The release of one hold."""
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
