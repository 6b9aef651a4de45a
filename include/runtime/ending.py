"""How a call of a step ends: in memory first, then written down as the outcome of its attempt."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from include.contract.layout import outcome_key
from include.contract.receipt import Outcome, OutcomeStatus, canonical_json
from include.errors import EXIT_DONE, NothingToDoError, PlatformError, TemporaryError
from include.runtime.context import StepContext
from include.stores.metrics.outcome import report_outcome


@dataclass(frozen=True, kw_only=True)
class Completion:
    """The result of a call, or of one part of it."""

    status: OutcomeStatus
    receipt: str | None = None
    """Key of the receipt, where there is one for all of it."""
    receipts: Mapping[str, str] = field(default_factory=dict)
    """Keys of the receipts of a call's parts, by subject."""
    error: PlatformError | None = None
    """Why it failed or was skipped."""

    @classmethod
    def of(cls, error: PlatformError) -> "Completion":
        """The result of a call that an error ended."""
        is_skip = isinstance(error, NothingToDoError)
        return cls(status=OutcomeStatus.SKIPPED if is_skip else OutcomeStatus.FAILED, error=error)

    @property
    def summary(self) -> str:
        """One line for a person."""
        if self.error is not None:
            return str(self.error)
        if self.receipt is not None:
            return f"The work is done, and receipt {self.receipt} holds."
        return f"The work is done, and {len(self.receipts)} receipts hold."


@dataclass(frozen=True)
class Ending:
    """How a call ended: the outcome as written, and the error where there was one."""

    outcome: Outcome
    error: PlatformError | None = None


def write_down(context: StepContext, completion: Completion, began: float) -> Ending:
    """
    Write the outcome of a call under the first free number of its attempt, and count it in the metrics.

    :param began: when the call began, on the monotonic clock.
    :raises TemporaryError: if it cannot be written; the message states how the call ended.
    """
    outcome = _outcome(context, completion, began)
    data = canonical_json(outcome.model_dump(mode="json"))
    ending = 0
    # An attempt may end more than once: a run that was deleted and made again counts its attempts from 1.
    try:
        while not context.stores.objects.create(_key(outcome, ending), data):
            ending += 1
    except TemporaryError as error:
        raise TemporaryError(f"{completion.summary} How it ended could not be written down: {error}") from error
    report_outcome(context.stores.metrics, outcome)
    return Ending(outcome, completion.error)


def _outcome(context: StepContext, completion: Completion, began: float) -> Outcome:
    command, error = context.command, completion.error
    return Outcome(
        status=completion.status,
        exit_code=EXIT_DONE if error is None else error.exit_code,
        step=command.step.value,
        project=command.project,
        subject=command.subject,
        run=command.run,
        attempt=command.attempt,
        receipt=completion.receipt,
        receipts=dict(completion.receipts),
        message="" if error is None else str(error),
        seconds=round(time.monotonic() - began, 3),
    )


def _key(outcome: Outcome, ending: int) -> str:
    return outcome_key(
        outcome.project, outcome.run, outcome.step, outcome.subject, attempt=outcome.attempt, ending=ending
    )
