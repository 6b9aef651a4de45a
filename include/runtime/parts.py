"""
The parts of one call, done in parallel where there are CPUs for it (ADR 20).

Each part has a receipt of its own and does not depend on the others: if some fail, the receipts of the others hold, and
the next attempt does only what is left.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from include.contract.receipt import OutcomeStatus
from include.errors import NothingToDoError, PermanentError, PlatformError, listed
from include.runtime.context import Parts, StepContext
from include.runtime.ending import Completion
from include.runtime.threads import thread_count

Complete = Callable[[StepContext], Completion]
"""Does one part, given its context."""


def run_parts(context: StepContext, parts: Parts, complete: Complete) -> Completion:
    """
    Do all parts of a call, at most as many at once as the step may use threads.

    A bug in one of them ends the call once the parts that have begun are through.

    :param complete: called from several threads where several parts are done at once.
    """
    contexts = [_context_of(context, options) for options in parts.options]
    run = partial(_completion, complete)
    workers = min(thread_count(context), len(contexts))
    # With one worker no pool: Ctrl-C then ends the part at once, and a pool waits for parts that have begun (ADR 20).
    if workers <= 1:
        completions = [run(one) for one in contexts]
    else:
        with ThreadPoolExecutor(workers, thread_name_prefix="part") as pool:
            completions = list(pool.map(run, contexts))
    return combined({one.command.subject: each for one, each in zip(contexts, completions, strict=True)})


def combined(parts: Mapping[str, Completion]) -> Completion:
    """
    The result of a call from those of its parts.

    It failed if a part failed, and permanently if one failed permanently: a retry would not help that part. It was
    skipped only if all parts were.

    :param parts: by subject; at least one.
    """
    receipts = {subject: part.receipt for subject, part in parts.items() if part.receipt is not None}
    failed = {subject: part.error for subject, part in parts.items() if _has_failed(part) and part.error is not None}
    if failed:
        return Completion(status=OutcomeStatus.FAILED, receipts=receipts, error=_error(failed, len(parts)))
    if not receipts:
        reasons = {subject: part.error for subject, part in parts.items() if part.error is not None}
        return Completion.of(NothingToDoError(_reasons(reasons)))
    is_new = any(part.status is OutcomeStatus.DONE for part in parts.values())
    return Completion(status=OutcomeStatus.DONE if is_new else OutcomeStatus.ALREADY_DONE, receipts=receipts)


def _has_failed(part: Completion) -> bool:
    return part.status is OutcomeStatus.FAILED


def _context_of(context: StepContext, options: tuple[tuple[str, str], ...]) -> StepContext:
    command = replace(context.command, options=(*context.command.options, *options))
    return replace(context, command=command, events=context.events.of_part(command.subject, dict(options)))


def _completion(complete: Complete, context: StepContext) -> Completion:
    began = time.monotonic()
    try:
        completion = complete(context)
    except PlatformError as error:
        completion = Completion.of(error)
    seconds = round(time.monotonic() - began, 3)
    if completion.error is None:
        context.events.emit(f"part {completion.status.value.replace('_', ' ')}", seconds=seconds)
    else:
        context.events.warn(f"part {completion.status.value}", reason=str(completion.error), seconds=seconds)
    return completion


def _error(failed: Mapping[str, PlatformError], count: int) -> PlatformError:
    """One error for all: of the kind of the first permanent one, else of the first."""
    errors = list(failed.values())
    worst = next((error for error in errors if isinstance(error, PermanentError)), errors[0])
    if count == 1:
        return worst
    names = listed(_name(subject) for subject in failed)
    return type(worst)(f"{len(failed)} of {count} parts failed ({names}). {_reasons(failed)}")


def _reasons(errors: Mapping[str, PlatformError]) -> str:
    """All in one line: a pod's termination message is cut at the first line end."""
    return " ".join(f"{_name(subject)}: {' '.join(str(error).split())}" for subject, error in errors.items())


def _name(subject: str) -> str:
    return subject.rpartition("/")[2]
