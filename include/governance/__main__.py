"""The operators' command line: ``python -m include.governance rollback --project flights --why 'wrong since noon'``."""

import argparse
import getpass
import sys
from collections.abc import Sequence
from typing import NoReturn

from include.errors import EXIT_DONE, ConfigurationError, PlatformError
from include.governance.rollback import RollbackRequest, rollback
from include.runtime.events import EventLog
from include.spec.load import load_project
from include.stores.installation import Stores


class _Parser(argparse.ArgumentParser):
    """Ends with the exit code of a configuration error."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        # argparse itself ends with 2, which no error of the tree has.
        self.exit(ConfigurationError.exit_code, f"{self.prog}: {message}. See {self.prog} --help.\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = _Parser(prog="python -m include.governance", description=__doc__)
    words = whole.add_subparsers(dest="operation", required=True, metavar="OPERATION")
    summary = "give the traffic and the title of champion back to an earlier version, and write down why"
    word = words.add_parser("rollback", help=summary, description=summary)
    word.add_argument("--project", required=True, help="folder under include/projects")
    word.add_argument("--why", required=True, help="the reason, for the ledger")
    word.add_argument("--to", type=int, help="version to go back to (default: the champion before this one)")
    word.add_argument("--who", default=None, help="who requests it (default: this user)")
    return whole


def main(arguments: Sequence[str], stores: Stores | None = None) -> int:
    """
    Do one operation.

    :return: the exit code, as that of a step.
    """
    given = parser().parse_args(arguments)
    events = EventLog(fields={"operation": given.operation, "project": given.project})
    try:
        spec = load_project(given.project)
        request = RollbackRequest(who=given.who or getpass.getuser(), why=given.why, to=given.to)
        rollback(stores or Stores(), events, spec, request)
    except PlatformError as error:
        events.error("failed", error=type(error).__name__, message=str(error), exit_code=error.exit_code)
        return error.exit_code
    return EXIT_DONE


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
