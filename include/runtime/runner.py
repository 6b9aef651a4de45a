"""
Runs one call of one step: once.

Plan, look for the receipt of the same work, verify that its outputs are unchanged, otherwise take the lease, do the
work, seal, write the receipt by conditional create, then the outcome. A step that is killed anywhere leaves either no
receipt, and is done again, or a receipt, and is known to be done. One whose lease is lost publishes nothing more, and
still writes its outcome.
"""

import socket
import time
from dataclasses import replace
from datetime import UTC, datetime

from include.contract.digest import digest_of
from include.contract.layout import receipt_key
from include.contract.receipt import (
    ModelState,
    OutcomeStatus,
    Receipt,
    State,
    TableState,
    canonical_json,
    identity_of,
)
from include.contract.step_names import STORES
from include.errors import DataRejectedError, PlatformError, UnreadableFormatError
from include.runtime.context import Parts, Plan, StepContext, Work
from include.runtime.ending import Completion, Ending, write_down
from include.runtime.fencing import FencedStores
from include.runtime.lease import Lease
from include.runtime.parts import run_parts
from include.runtime.shutdown import NoShutdown
from include.runtime.step_module import step_module


def run_step(context: StepContext, shutdown: NoShutdown | None = None) -> Ending:
    """
    Do one call of one step and write down how it ended.

    Errors of the tree become an outcome; anything else is a bug and passes through.

    :param shutdown: ends the process when the lease is lost at work; without one, the next publication fails.
    :raises TemporaryError: if the outcome cannot be written; the message states how the call ended, too.
    """
    began = time.monotonic()
    shutdown = shutdown or NoShutdown()
    try:
        lease = Lease(context.stores.objects, context.command, on_loss=shutdown.stop)
        shutdown.engage(lease, lambda error: write_down(context, Completion.of(error), began))
        allowed = STORES[context.command.step]
        fenced = FencedStores(
            environment=context.stores.environment, inner=context.stores, lease=lease, allowed=allowed
        )
        try:
            completion = _complete(replace(context, stores=fenced), lease, shutdown)
        finally:
            lease.release()
    except PlatformError as error:
        completion = Completion.of(error)
    shutdown.conclude()
    return write_down(context, completion, began)


def _complete(context: StepContext, lease: Lease, shutdown: NoShutdown) -> Completion:
    """Do what is planned unless a receipt proves that it is done; a call of several parts part by part."""
    started_at = datetime.now(UTC)
    command = context.command
    plan = step_module(command.step).plan(context)
    if isinstance(plan, Parts):
        # A part does not conclude the call: one that writes its receipt must not keep the others from being ended.
        return run_parts(context, plan, lambda part: _complete(part, lease, NoShutdown()))
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
            return Completion(status=OutcomeStatus.ALREADY_DONE, receipt=key)
        generation += 1
    # Not before: a call that finds its work done takes no lease, and costs no document (ADR 14).
    lease.take()
    work = plan.work(f"{identity}.{generation}")
    receipt = _receipt(context, plan, work, identity=identity, started_at=started_at)
    # From here on a shutdown waits for up to 10 s, so that the outcome agrees with what became of the receipt.
    shutdown.conclude()
    key = _published(context, plan, receipt, generation)
    return Completion(status=OutcomeStatus.DONE, receipt=key)


def _published(context: StepContext, plan: Plan, receipt: Receipt, generation: int) -> str:
    """Key of the receipt: this one's, or that of a twin of this call which was quicker."""
    data = canonical_json(receipt.model_dump(mode="json"))
    while not context.stores.objects.create(key := _key(context, receipt.identity, generation), data):
        # What a twin sealed is ours as well, unless it was lost in the meantime.
        if _holds(context, plan, key):
            break
        generation += 1
    return key


def _key(context: StepContext, identity: str, generation: int) -> str:
    command = context.command
    return receipt_key(command.project, command.step.value, command.subject, identity, generation)


def _receipt(context: StepContext, plan: Plan, work: Work, *, identity: str, started_at: datetime) -> Receipt:
    command = context.command
    return Receipt(
        identity=identity,
        step=command.step,
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
    """Whether the outputs of a receipt of the same work still have the digests in it."""
    try:
        receipt = context.receipts.receipt(key)
    except UnreadableFormatError as error:
        context.events.warn("the receipt cannot be read; the work is done again", receipt=key, reason=str(error))
        return False
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
        return True  # the step's own still_there queries the registry
    objects = context.stores.objects
    if not objects.exists(state.name):
        return False
    return digest_of(objects.get(state.name)) == state.digest
