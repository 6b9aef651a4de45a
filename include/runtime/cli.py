"""The CLI of the steps: one word a step, the same options for all, exit codes by kind of error."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from include.contract import settings
from include.contract.code_digest import code_digest
from include.contract.command import StepCommand
from include.contract.step_names import StepName
from include.errors import EXIT_BUG, EXIT_DONE, ConfigurationError, NothingToDoError, PlatformError
from include.runtime.catalogue import STEPS
from include.runtime.context import StepContext
from include.runtime.ending import Ending
from include.runtime.events import EventLog
from include.runtime.parent_watch import end_with_parent
from include.runtime.runner import run_step
from include.runtime.shutdown import GracefulShutdown, watching
from include.runtime.termination_message import write_termination_message
from include.runtime.threads import WAITING
from include.spec.load import load_project
from include.stores.installation import Stores


class _Parser(argparse.ArgumentParser):
    """Ends with the exit code of a configuration error: argparse's own 2 would be retried as a bug."""

    def error(self, message: str) -> NoReturn:
        write_termination_message(message)
        self.print_usage(sys.stderr)
        self.exit(ConfigurationError.exit_code, f"{self.prog}: {message}. See {self.prog} --help.\n")


def parser() -> argparse.ArgumentParser:
    """The command line: one word a step, the same options for all, and each step's own."""
    whole = _Parser(
        prog="python -m include.steps", description="Run one step of a project's pipeline on one partition."
    )
    words = whole.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, entry in STEPS.items():
        word = words.add_parser(name.value, help=entry.summary, description=entry.summary)
        word.add_argument("--project", required=True, help="folder under include/projects")
        word.add_argument(
            "--partition", required=True, help="the data interval, like 2013-03 (month) or 2013-03-09 (day)"
        )
        word.add_argument("--run", required=True, help="any word; calls of one training share it")
        word.add_argument("--attempt", type=int, default=1, help="number of the attempt (default: 1)")
        word.add_argument("--code", default="", help="digest of the code that must do the work (default: any)")
        for option in entry.options:
            word.add_argument(f"--{option.name}", required=option.required, choices=option.choices, help=option.meaning)
    return whole


def command_of(arguments: Sequence[str]) -> StepCommand:
    """The command in a command line; ends the process with exit code 78 if it is not valid."""
    given = parser().parse_args(arguments)
    step = StepName(given.step)
    values = [(option.name, getattr(given, option.name)) for option in STEPS[step].options]
    return StepCommand(
        step=step,
        project=given.project,
        partition=given.partition,
        run=given.run,
        attempt=given.attempt,
        code=given.code,
        options=tuple((name, value) for name, value in values if value is not None),
    )


def main(arguments: Sequence[str]) -> int:
    """
    Run one step.

    :return: the exit code: 0 done, 65 data rejected, 78 configuration, 75 temporary, 99 nothing to do, 70 a bug.
    """
    end_with_parent()
    os.environ.setdefault(*WAITING)
    command = command_of(arguments)
    fields = {"step": command.step.value, "project": command.project, "subject": command.subject}
    events = EventLog(fields=fields | {"run": command.run, "attempt": command.attempt})
    shutdown = GracefulShutdown(lambda error: _fail(events, error, str(error), error.exit_code))
    try:
        with watching(shutdown, os.environ):
            ending = _run(command, events, shutdown)
    except PlatformError as error:
        return _fail(events, error, str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 (the top of the CLI: whatever is left is a bug)
        traceback.print_exc()
        return _fail(events, error, f"{type(error).__name__} in the platform's code: see the lines above", EXIT_BUG)
    if ending.error is not None:
        return _fail(events, ending.error, str(ending.error), ending.error.exit_code)
    events.emit(ending.outcome.status.value.replace("_", " "), seconds=ending.outcome.seconds)
    return EXIT_DONE


def _run(command: StepCommand, events: EventLog, shutdown: GracefulShutdown) -> Ending:
    spec = load_project(command.project)
    code = _agreed_code(command)
    context = StepContext(command=command, spec=spec, stores=Stores(), events=events, code=code)
    _ = context.partition  # a malformed partition is refused before any store is opened
    events.emit("started")
    return run_step(context, shutdown)


def _agreed_code(command: StepCommand) -> str:
    """
    Digest of this process's code.

    :raises ConfigurationError: if the command requires other code.
    """
    code = code_digest(command.step, command.project)
    if command.code not in {"", code}:
        message = (
            f"The command wants code {command.code} of project '{command.project}', and this image or folder holds "
            f"{code}. Build the images from the bundle that Airflow runs ('make images') and name them, or set "
            f"{settings.ANY_CODE}=1 for Airflow to take whatever code an image holds."
        )
        raise ConfigurationError(message)
    return code


def _fail(events: EventLog, error: BaseException, message: str, code: int) -> int:
    if isinstance(error, NothingToDoError):
        events.emit("skipped", reason=message)
    else:
        events.error("failed", error=type(error).__name__, message=message, exit_code=code)
    write_termination_message(message or type(error).__name__)
    return code
