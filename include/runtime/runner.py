"""
Runs one call of one step: once.

Plan, look for the receipt of the same work, verify that its outputs are unchanged, otherwise take the lease, do the
work, seal, write the receipt by conditional create, then the outcome. A step that is killed anywhere leaves either no
receipt, and is done again, or a receipt, and is found done. One whose lease is lost publishes nothing more, and still
says how it ended.
"""

import socket
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from include.contract.digest import digest_of
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
from include.contract.step_names import STORES
from include.errors import EXIT_DONE, DataRejectedError, NothingToDoError, PlatformError, TemporaryError
from include.runtime.context import Plan, StepContext, Work
from include.runtime.fencing import FencedStores
from include.runtime.lease import Lease
from include.runtime.shutdown import Unstopped
from include.runtime.step_module import step_module
from include.stores.metrics.outcome import report_outcome


@dataclass(frozen=True)
class Ending:
    """How a call ended: the outcome as written, and the error where there was one."""

    outcome: Outcome
    error: PlatformError | None = None


def run_step(context: StepContext, stopper: Unstopped | None = None) -> Ending:
    """
    Do one call of one step and write down how it ended.

    Errors of the tree become an outcome; anything else is a bug and passes through.

    :param stopper: ends the process when the lease is lost at work; without one, the next publication fails.
    :raises TemporaryError: if how it ended cannot be written; the message says that, too.
    """
    began = time.monotonic()
    stopper = stopper or Unstopped()
    try:
        lease = Lease(context.stores.objects, context.command, on_loss=stopper.stop)
        stopper.engage(lease, lambda error: _failed(context, error, began))
        allowed = STORES[context.command.step]
        fenced = FencedStores(
            environment=context.stores.environment, inner=context.stores, lease=lease, allowed=allowed
        )
        key, status = _receipt_for(replace(context, stores=fenced), lease, stopper)
    except PlatformError as error:
        stopper.conclude()
        return Ending(_failed(context, error, began), error)
    stopper.conclude()
    outcome = _outcome(context, status, began, exit_code=EXIT_DONE, receipt=key)
    _record(context, outcome, f"The work is done, and receipt {key} holds.")
    return Ending(outcome)


def _failed(context: StepContext, error: PlatformError, began: float) -> Outcome:
    """Write down how a try failed or was skipped."""
    status = OutcomeStatus.SKIPPED if isinstance(error, NothingToDoError) else OutcomeStatus.FAILED
    outcome = _outcome(context, status, began, exit_code=error.exit_code, message=str(error))
    _record(context, outcome, str(error))
    return outcome


def _receipt_for(context: StepContext, lease: Lease, stopper: Unstopped) -> tuple[str, OutcomeStatus]:
    """Key of the receipt that holds for this call, and whether the work was done before."""
    started_at = datetime.now(UTC)
    command = context.command
    plan = step_module(command.step).plan(context)
    identity = identity_of(
        step=command.step.value,
        project=command.project,
        subject=command.subject,
        parameters=plan.parameters,
        inputs=plan.inputs,
        code=context.code,
    )
    generation = 0
    while context.stores.objects.exists(key := _key(context, identity, generation)):
        if _holds(context, plan, key):
            return key, OutcomeStatus.ALREADY_DONE
        generation += 1
    with lease:
        work = plan.work(f"{identity}.{generation}")
        receipt = _receipt(context, plan, work, identity=identity, started_at=started_at)
        data = canonical_json(receipt.model_dump(mode="json"))
        stopper.conclude()
        while not context.stores.objects.create(key, data):
            # A twin of this call was quicker; what it sealed is ours as well, unless it was lost in the meantime.
            if _holds(context, plan, key):
                break
            generation += 1
            key = _key(context, identity, generation)
    return key, OutcomeStatus.DONE


def _key(context: StepContext, identity: str, generation: int) -> str:
    command = context.command
    return receipt_key(command.project, command.step.value, command.subject, identity, generation)


def _receipt(context: StepContext, plan: Plan, work: Work, *, identity: str, started_at: datetime) -> Receipt:
    command = context.command
    return Receipt(
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


def _holds(context: StepContext, plan: Plan, key: str) -> bool:
    """Whether the outputs of a receipt of the same work are still what it says."""
    receipt = context.receipts.receipt(key)
    changed = [state.name for state in receipt.outputs if not _unchanged(context, state)]
    if changed:
        context.events.warn("outputs of the receipt are gone or changed; the work is done again", outputs=changed)
        return False
    if plan.still_there is not None and not plan.still_there(receipt.outputs):
        context.events.warn("the receipt no longer holds; the work is done again", receipt=key)
        return False
    return True


def _unchanged(context: StepContext, state: State) -> bool:
    if isinstance(state, TableState):
        try:
            now = context.stores.tables.state(state.name, state.partition)
        except DataRejectedError:
            return False
        return now is not None and now.digest == state.digest
    if isinstance(state, ModelState):
        return True  # the step's own still_there asks the registry
    objects = context.stores.objects
    if not objects.exists(state.name):
        return False
    return digest_of(objects.get(state.name)) == state.digest


def _outcome(
    context: StepContext,
    status: OutcomeStatus,
    began: float,
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
        seconds=round(time.monotonic() - began, 3),
    )


def _record(context: StepContext, outcome: Outcome, told: str) -> None:
    """
    Write the outcome under the first free number of this try, and count it.

    :param told: how it ended, for the case that this cannot be written.
    """
    command, ending = context.command, 0
    data = canonical_json(outcome.model_dump(mode="json"))
    try:
        while not context.stores.objects.create(
            outcome_key(
                command.project,
                command.run,
                command.step.value,
                command.subject,
                attempt=command.attempt,
                ending=ending,
            ),
            data,
        ):
            ending += 1
    except TemporaryError as error:
        raise TemporaryError(f"{told} How it ended could not be written down: {error}") from error
    report_outcome(context.stores.metrics, outcome)
