"""
Exit code + outcome + receipt -> how the task ends; the one place that decides.

The verdict is what lies in the object store for exactly this project, run, step, subject and attempt. A process that
exits with 0 and left no receipt has failed; one that was killed after its receipt has not.
"""

import signal
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from pydantic import ValidationError

from include.contract.command import StepCommand
from include.contract.layout import attempt_prefix
from include.contract.receipt import Outcome, OutcomeStatus, Receipt
from include.errors import EXIT_DONE, ConfigurationError, DataRejectedError, PermanentError, TemporaryError, foreign

PERMANENT = frozenset({DataRejectedError.exit_code, ConfigurationError.exit_code})
"""Exit codes of a step that would end the same way again."""
Reference = dict[str, str | dict[str, str] | dict[str, int]]
"""
What goes to XCom: ``status``, the receipt's key as ``receipt`` (of a step that did several parts, ``receipts``: keys by
subject), and ``row_counts``, which are those of all parts together.
"""


class Documents(Protocol):
    """What of the object store is read here."""

    def get(self, key: str) -> bytes:
        """An object's bytes."""

    def list(self, prefix: str) -> Sequence[str]:
        """Keys that begin with the prefix, in order."""


def conclude(
    command: StepCommand,
    exit_code: int | None,
    documents: Documents,
    said: str = "",
    ended_by: Exception | None = None,
) -> Reference:
    """
    Judge one try of a step.

    :param exit_code: of its process; negative for the signal that ended it; None if nobody saw it, and then the
        outcome alone speaks.
    :param said: the step's own last error message, for an end without an outcome.
    :param ended_by: what to raise for an end without an outcome, where more is known of it than the exit code; if it is
        permanent, it outranks an outcome that only says to try again.
    :return: the reference to its receipt, or to those of its parts.
    :raises AirflowSkipException: if it had nothing to do.
    :raises AirflowFailException: if doing it again would give the same.
    :raises TemporaryError: otherwise; Airflow tries again.
    """
    outcome = _outcome(command, documents)
    if outcome is not None and outcome.is_done:
        return _reference(outcome, documents)
    if outcome is None or exit_code not in {outcome.exit_code, None}:
        raise ended_by or _without_outcome(command, exit_code, said)
    if isinstance(ended_by, PermanentError) and outcome.exit_code == TemporaryError.exit_code:
        raise ended_by  # the step knows that it was told to end, and not why
    if outcome.status is OutcomeStatus.SKIPPED:
        raise AirflowSkipException(outcome.message)
    raise _failure(outcome.exit_code, outcome.message)


def _outcome(command: StepCommand, documents: Documents) -> Outcome | None:
    prefix = attempt_prefix(command.project, command.run, command.step.value, command.subject, command.attempt)
    keys = documents.list(prefix)
    if not keys:
        return None
    try:
        return Outcome.model_validate_json(documents.get(keys[-1]))
    except ValidationError as error:
        raise TemporaryError(f"Outcome {keys[-1]} is damaged: {foreign(error)}.") from error


def _reference(outcome: Outcome, documents: Documents) -> Reference:
    row_counts = Counter[str]()
    for key in outcome.receipt_keys:
        try:
            row_counts.update(Receipt.from_json(documents.get(key), key).row_counts)
        except DataRejectedError as error:
            message = f"The step says it is {outcome.status.value} by receipt {key}, which cannot be read: "
            raise TemporaryError(message + foreign(error)) from error
    found: Reference = {"receipts": dict(outcome.receipts)} if outcome.receipt is None else {"receipt": outcome.receipt}
    return {"status": outcome.status.value, **found, "row_counts": dict(row_counts)}


def told(command: StepCommand) -> str:
    """``train of flights 2013-09, run r, try 1``: a try, for a person."""
    return f"{command.step.value} of {command.project} {command.subject}, run {command.run}, try {command.attempt}"


def _without_outcome(command: StepCommand, exit_code: int | None, said: str) -> Exception:
    where = told(command)
    if exit_code is None:
        return TemporaryError(f"The process of {where} is gone, and left no receipt: nothing proves its work.")
    if exit_code == EXIT_DONE:
        return TemporaryError(f"The process of {where} exited with 0, but left no receipt: nothing proves its work.")
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = " Did the machine run out of memory?" if -exit_code == signal.SIGKILL else ""
        return TemporaryError(f"The process of {where} was ended by {name} before it left a receipt.{hint}")
    return _failure(exit_code, said or f"The process of {where} exited with {exit_code} and said nothing.")


def _failure(exit_code: int, message: str) -> Exception:
    return AirflowFailException(message) if exit_code in PERMANENT else TemporaryError(message)
