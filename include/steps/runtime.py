"""
Runs one call of one step: once.

Plan, look for the receipt of the same work, verify that its outputs are unchanged, otherwise do the work, seal, write the
receipt by conditional create, then the outcome. A step that is killed anywhere leaves either no receipt, and is done again, or
a receipt, and is found done.
"""

import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from include.contract.layout import outcome_key, receipt_key
from include.contract.receipt import (
    ModelState,
    Outcome,
    OutcomeStatus,
    Receipt,
    State,
    TableState,
    canonical_json,
    identity_of,
)
from include.errors import EXIT_DONE, NothingToDoError, PlatformError
from include.steps.catalogue import step_module
from include.steps.context import Plan, StepContext


@dataclass(frozen=True)
class Ending:
    """How a call ended: the outcome as written, and the error where there was one."""

    outcome: Outcome
    error: PlatformError | None = None


def run_step(context: StepContext) -> Ending:
    """
    Do one call of one step and write down how it ended.

    Errors of the tree become an outcome; anything else is a bug and passes through.
    """
    began = time.monotonic()
    command = context.command
    try:
        receipt, status = _receipt_for(context)
    except PlatformError as error:
        status = OutcomeStatus.SKIPPED if isinstance(error, NothingToDoError) else OutcomeStatus.FAILED
        outcome = _outcome(context, status, time.monotonic() - began, exit_code=error.exit_code, message=str(error))
        _record(context, outcome)
        return Ending(outcome, error)
    key = receipt_key(command.project, command.step.value, command.subject, receipt.identity)
    outcome = _outcome(context, status, time.monotonic() - began, exit_code=EXIT_DONE, receipt=key)
    _record(context, outcome)
    return Ending(outcome)


def _receipt_for(context: StepContext) -> tuple[Receipt, OutcomeStatus]:
    started_at = datetime.now(UTC)
    plan = step_module(context.command.step).plan(context)
    command = context.command
    identity = identity_of(
        step=command.step.value,
        project=command.project,
        subject=command.subject,
        parameters=plan.parameters,
        inputs=plan.inputs,
        code=context.code,
    )
    key = receipt_key(command.project, command.step.value, command.subject, identity)
    found = _earlier(context, plan, key)
    if found is not None:
        context.events.emit("already done", receipt=key, done_by_run=found.run)
        return found, OutcomeStatus.ALREADY_DONE
    work = plan.work(identity)
    receipt = Receipt(
        identity=identity,
        step=command.step.value,
        project=command.project,
        subject=command.subject,
        partition=command.partition,
        run=command.run,
        attempt=command.attempt,
        parameters=plan.parameters,
        inputs=plan.inputs,
        outputs=work.outputs,
        row_counts=dict(work.row_counts),
        results=work.results,
        code_digest=context.code,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        host=socket.gethostname(),
    )
    if context.stores.objects.create(key, canonical_json(receipt.model_dump(mode="json"))):
        return receipt, OutcomeStatus.DONE
    # A twin was quicker, or an earlier receipt's outputs had been lost and are now sealed again: same work, same receipt.
    return context.evidence.receipt(key), OutcomeStatus.DONE


def _earlier(context: StepContext, plan: Plan, key: str) -> Receipt | None:
    """The receipt of the same work, if its outputs are still what it says."""
    if not context.stores.objects.exists(key):
        return None
    receipt = context.evidence.receipt(key)
    changed = [state.name for state in receipt.outputs if not _unchanged(context, state)]
    if changed:
        context.events.warn("outputs of the receipt are gone or changed, so the work is done again", outputs=changed)
        return None
    if plan.still_there is not None and not plan.still_there(receipt.outputs):
        context.events.warn("the receipt no longer holds, so the work is done again", receipt=key)
        return None
    return receipt


def _unchanged(context: StepContext, state: State) -> bool:
    if isinstance(state, TableState):
        now = context.stores.tables.state(state.name, state.partition)
        return now is not None and now.digest == state.digest
    if isinstance(state, ModelState):
        return True  # the step's own still_there asks the registry
    objects = context.stores.objects
    return objects.exists(state.name) and objects.seal(state.name, b"").digest == state.digest


def _outcome(  # noqa: PLR0913 (an outcome is made of exactly these parts)
    context: StepContext,
    status: OutcomeStatus,
    seconds: float,
    *,
    exit_code: int,
    receipt: str | None = None,
    message: str = "",
) -> Outcome:
    command = context.command
    return Outcome(
        status=status,
        exit_code=exit_code,
        step=command.step.value,
        project=command.project,
        subject=command.subject,
        run=command.run,
        attempt=command.attempt,
        receipt=receipt,
        message=message,
        seconds=round(seconds, 3),
    )


def _record(context: StepContext, outcome: Outcome) -> None:
    """Write the outcome under the first free number of this try."""
    command, ending = context.command, 0
    data = canonical_json(outcome.model_dump(mode="json"))
    while True:
        key = outcome_key(
            command.project, command.run, command.step.value, command.subject, attempt=command.attempt, ending=ending
        )
        if context.stores.objects.create(key, data):
            return
        ending += 1
