"""The command line: commands and their help. Standard library only: help is there before anything is installed."""

import argparse
from collections.abc import Sequence

TEST, CHECK, DOCS, COVERAGE = "test", "check", "docs", "coverage"
DEVELOPMENT = (TEST, CHECK, DOCS, COVERAGE)
"""Commands that need what the tests need."""
COMMANDS = {
    "run": "do the whole job once: ten months of flights, from the files to the served model",
    "up": "start Airflow, MLflow and the model server, and leave them running",
    "down": "stop what 'up' started",
    "cluster-run": "do the whole job with every step a pod, on the cluster of KUBECONFIG and CLUSTER_...",
    "cluster-up": "bring the platform up on that cluster, and leave it running",
    "cluster-down": "remove it from the cluster, and stop what runs here",
    TEST: "run all tests, or those that follow; files, folders and options are pytest's",
    CHECK: "check format, style, types, import directions, docs, sizes and lock files, or the parts that follow",
    DOCS: "build the documentation site",
    COVERAGE: "compare what the tests have run since COVERAGE=1 with the floor in pyproject.toml",
}
"""What each command does."""


def parser() -> argparse.ArgumentParser:
    """The parser of all commands, each with its help."""
    root = argparse.ArgumentParser(
        prog="python3 -m local_platform",
        description="The platform on this machine. The first command sets up what it needs, which takes minutes.",
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in COMMANDS.items():
        command = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        if name == CHECK:
            command.add_argument("parts", nargs="*", metavar="PART")
    return root


def parse(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """
    Read a command. For ``--help`` and for mistakes argparse prints a message and ends the process.

    :return: the command and what follows it: for ``test`` what goes to pytest, for ``check`` the parts.
    """
    # argparse would take pytest's options for its own.
    if arguments[:1] == [TEST]:
        return TEST, list(arguments[1:])
    chosen = parser().parse_args(arguments)
    return str(chosen.command), list(getattr(chosen, "parts", []))
