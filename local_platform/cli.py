"""The commands behind ``make``, once the environment exists."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from include.processes import set_parent_death_signal
from local_platform.command_line import CHECK, DEVELOPMENT, DOCS, TEST, parse
from local_platform.console import Console
from local_platform.errors import LocalPlatformError
from local_platform.locations import REPOSITORY, State
from local_platform.services import lifecycle
from local_platform.services.environment import bypass_proxies, step_environment
from local_platform.services.fleet import exclusive
from local_platform.services.services import Settings

INTERRUPTED = 130
Command = Callable[[State, Console], int]
FOREIGN = ("AIRFLOW", "AWS_", "ML_", "MLFLOW_", "MAKE")
"""Prefixes of variables by which a test could reach a platform, a cluster or a store that it did not start."""
TEST_OPTIONS = ("--numprocesses=auto", "--dist=loadscope", "--no-loadscope-reorder", "--durations=20")
"""Options of pytest; ``tests/conftest.py`` groups tests that share a server, and puts long ones first."""


def run(state: State, console: Console) -> int:
    """Start what is not running, do the year's work, stop what was started."""
    with exclusive(state):
        running = lifecycle.settings_of(state)
        if running:
            console.say("Services: using those that 'make up' left running.")
            return _job(running, lifecycle.left_running(state), console)
        console.say("Services:")
        with lifecycle.started(state, console) as (settings, fleet):
            return _job(settings, fleet.names, console, up_again="make up")


def _job(settings: Settings, names: Sequence[str], console: Console, up_again: str = "") -> int:
    # Here, because the stores import pyarrow and Delta Lake, which 'up' and 'down' do not need.
    from include.stores.installation import Stores
    from local_platform.demo import job

    stores = Stores(step_environment(settings.state, settings.ports))
    return job.run(
        settings, stores, console, lambda: lifecycle.require_running(settings.state, names), up_again=up_again
    )


def up(state: State, console: Console) -> int:
    """Start the services and leave them running."""
    with exclusive(state):
        settings = lifecycle.settings_of(state)
        if settings is None:
            console.say("Services:")
            with lifecycle.started(state, console) as (settings, fleet):
                lifecycle.detach(settings, fleet)
    _introduce(settings, console)
    return 0


def down(state: State, console: Console) -> int:
    """End the services."""
    with exclusive(state):
        lifecycle.down(state, console)
    return 0


def check(parts: list[str]) -> int:
    """Run all parts of the check, or only those that are named."""
    from local_platform import checks

    return checks.check(Console(), parts=parts)


def docs() -> int:
    """Build the documentation site with the command that ``make check`` uses."""
    from local_platform import checks

    code = subprocess.run(checks.site_words(REPOSITORY), cwd=REPOSITORY, check=False).returncode
    if code == 0:
        Console().say("The site begins at .state/docs/html/index.html.")
    return code


def test(words: list[str]) -> NoReturn:
    """
    Replace this process by pytest, without environment variables that name somebody's platform.

    Test files run on all cores and the slowest tests are named, unless the options say otherwise (``-n 0``).
    """
    from local_platform import coverage_floor

    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    whole = [sys.executable, "-m", "pytest", *TEST_OPTIONS, *coverage_floor.options(kept), *words]
    os.execve(sys.executable, whole, kept)  # noqa: S606


def measure() -> int:
    """Compare the coverage of all measured tests with the floor in ``pyproject.toml``."""
    from local_platform import coverage_floor

    return coverage_floor.report(REPOSITORY)


def _introduce(settings: Settings, console: Console) -> None:
    ports, passwords = settings.ports, settings.credentials.passwords
    users = ", ".join(f"{user} / {password}" for user, password in passwords.items())
    console.say(f"Airflow       {ports.airflow_url}   ({users})")
    console.say(f"MLflow        {ports.mlflow_url}")
    console.say(f"served model  {ports.serving_url}/docs")
    console.say(f"logs          {settings.state.logs}")
    console.say("'make down' stops them.")


def _cluster(command: str) -> Command:
    def do(_state: State, console: Console) -> int:
        from local_platform.cluster import commands

        return commands.COMMANDS[command](State.from_environment("cluster"), console)

    return do


def main(arguments: list[str] | None = None) -> int:
    """Do one command; the exit code of this process."""
    command, words = parse(sys.argv[1:] if arguments is None else arguments)
    if command in DEVELOPMENT:
        return _develop(command, words)
    commands: dict[str, Command] = {"run": run, "up": up, "down": down}
    commands |= {f"cluster-{name}": _cluster(name) for name in commands}
    _end_with_make()
    bypass_proxies()
    # A closed terminal sends SIGHUP, a CI system SIGTERM: both must stop the services as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    console = Console()
    try:
        return commands[command](State.from_environment(), console)
    except LocalPlatformError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        console.say("Interrupted.")
        return INTERRUPTED


def _develop(command: str, words: list[str]) -> int:
    if command == TEST:
        test(words)
    if command == CHECK:
        return check(words)
    return docs() if command == DOCS else measure()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end_with_make() -> None:
    """Shut down when make itself is killed (Linux only)."""
    # kill -9 of make sends nothing to its children; started without make, the parent is a shell that may go.
    if "MAKELEVEL" in os.environ:
        set_parent_death_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
