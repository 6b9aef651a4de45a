"""
Exit code + outcome + receipt -> how the task ends. Operators of all execution modes decide here.

What counts is the outcome in the object store for exactly this project, run, step, subject and attempt. A process that
exits with 0 and wrote no receipt has failed; one that was killed after it wrote its receipt has succeeded.
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
"""Exit codes after which a retry would fail in the same way."""
Reference = dict[str, str | dict[str, str] | dict[str, int]]
"""
What goes to XCom: ``status``; ``receipt``, the receipt's key in the object store (for a call of several parts
``receipts``: keys by subject); and ``row_counts``, summed over the parts.
"""


class Documents(Protocol):
    """The reading half of the object store."""

    def get(self, key: str) -> bytes:
        """An object's bytes."""

    def list(self, prefix: str) -> Sequence[str]:
        """Keys that begin with the prefix, in order."""


def conclude(
    command: StepCommand,
    exit_code: int | None,
    documents: Documents,
    last_error: str = "",
    ended_by: Exception | None = None,
) -> Reference:
    """
    Turn the end of one attempt of a step into its task's result or error.

    :param exit_code: of the step's process; negative for the signal that ended it; None if it is not known, and then
        the outcome alone decides.
    :param last_error: the step's last error message, raised if it wrote no outcome.
    :param ended_by: the error to raise if the step wrote no outcome and the caller knows more than the exit code; if it
        is permanent, it also replaces an outcome after which Airflow would retry.
    :return: the reference to the receipt, or to the receipts of the parts.
    :raises AirflowSkipException: if the step had nothing to do.
    :raises AirflowFailException: if a retry would fail in the same way.
    :raises TemporaryError: otherwise; Airflow retries.
    """
    outcome = _outcome(command, documents)
    # Done is done, whatever the exit code: the kernel or the kubelet may kill a process after its receipt was written.
    if outcome is not None and outcome.is_done:
        return _reference(outcome, documents)
    # An outcome with another exit code is from before: a run that was deleted and made again counts attempts from 1.
    if outcome is None or exit_code not in {outcome.exit_code, None}:
        raise ended_by or _without_outcome(command, exit_code, last_error)
    # A step that got SIGTERM writes "retry", for it cannot know why. The cluster may: its disk is full, for example.
    if isinstance(ended_by, PermanentError) and outcome.exit_code == TemporaryError.exit_code:
        raise ended_by
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
            message = f"The step's outcome is {outcome.status.value} by receipt {key}, which cannot be read: "
            raise TemporaryError(message + foreign(error)) from error
    keys: Reference = {"receipts": dict(outcome.receipts)} if outcome.receipt is None else {"receipt": outcome.receipt}
    return {"status": outcome.status.value, **keys, "row_counts": dict(row_counts)}


def describe(command: StepCommand) -> str:
    """One attempt in words, for messages: ``train of flights 2013-09, run r, attempt 1``."""
    return f"{command.step.value} of {command.project} {command.subject}, run {command.run}, attempt {command.attempt}"


def _without_outcome(command: StepCommand, exit_code: int | None, last_error: str) -> Exception:
    where = describe(command)
    if exit_code is None:
        return TemporaryError(f"The process of {where} is gone, and left no receipt: nothing proves its work.")
    if exit_code == EXIT_DONE:
        return TemporaryError(f"The process of {where} exited with 0, but left no receipt: nothing proves its work.")
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = " Did the machine run out of memory?" if -exit_code == signal.SIGKILL else ""
        return TemporaryError(f"The process of {where} was ended by {name} before it left a receipt.{hint}")
    return _failure(exit_code, last_error or f"The process of {where} exited with {exit_code} and logged no error.")


def _failure(exit_code: int, message: str) -> Exception:
    return AirflowFailException(message) if exit_code in PERMANENT else TemporaryError(message)
