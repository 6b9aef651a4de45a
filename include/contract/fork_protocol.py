"""
The protocol of the fork server on its Unix socket: one JSON document a line, in both directions.

The first message of a connection is a :class:`ForkRequest`, sent with the file descriptors of the step's standard
output and standard error. The server sends :class:`Refused`, or :class:`Started` and, when no process of the step is
left, :class:`Ended`. When the caller closes its side of the connection, or dies, the server ends the step's whole
process group. Standard library only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

FORMAT = 1
DESCRIPTORS = 2
"""File descriptors that travel with a request: standard output, standard error."""
MESSAGE_BYTES_AT_MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ForkRequest:
    """One step to start."""

    arguments: tuple[str, ...]
    """The command line behind ``python -m include.steps``."""
    environment: Mapping[str, str] = field(repr=False)
    """The step's whole environment."""
    folder: str
    """The bundle's root: the step's working folder, and the folder whose code it must run."""
    grace_seconds: float
    """How long the group may take to end after SIGTERM."""

    def to_line(self) -> bytes:
        """The request as it is sent."""
        return _line(
            {
                "format": FORMAT,
                "arguments": list(self.arguments),
                "environment": dict(self.environment),
                "folder": self.folder,
                "grace_seconds": self.grace_seconds,
            }
        )

    @classmethod
    def from_line(cls, line: bytes) -> "ForkRequest":
        """
        Read a request.

        :raises ValueError: if it is none of this format.
        """
        given = _document(line)
        arguments, environment = given.get("arguments"), given.get("environment")
        if not isinstance(arguments, list) or not isinstance(environment, dict):
            raise _malformed(line)
        return cls(
            arguments=tuple(str(word) for word in arguments),
            environment={str(name): str(value) for name, value in environment.items()},
            folder=str(given.get("folder", "")),
            grace_seconds=_number(given.get("grace_seconds"), line),
        )


@dataclass(frozen=True)
class Started:
    """The step runs, as the leader of a session and a process group of its own."""

    pid: int


@dataclass(frozen=True)
class Ended:
    """The step and its whole group are gone."""

    exit_code: int
    """The exit code; negative for the signal that ended it."""


@dataclass(frozen=True)
class Refused:
    """The server does not start this step; an ordinary process can."""

    reason: str


Response = Started | Ended | Refused


def response_to_line(response: Response) -> bytes:
    """A response as it is sent."""
    match response:
        case Started(pid):
            return _line({"format": FORMAT, "started": pid})
        case Ended(exit_code):
            return _line({"format": FORMAT, "ended": exit_code})
        case Refused(reason):
            return _line({"format": FORMAT, "refused": reason})


def response_from_line(line: bytes) -> Response:
    """
    Read a response.

    :raises ValueError: if it is none of this format.
    """
    given = _document(line)
    if "started" in given:
        return Started(int(_number(given["started"], line)))
    if "ended" in given:
        return Ended(int(_number(given["ended"], line)))
    if "refused" in given:
        return Refused(str(given["refused"]))
    raise _malformed(line)


def _line(document: dict[str, object]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def _document(line: bytes) -> dict[str, object]:
    try:
        given = json.loads(line)
    except ValueError as error:
        raise _malformed(line) from error
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise _malformed(line)
    return given


def _number(value: object, line: bytes) -> float:
    if not isinstance(value, int | float):
        raise _malformed(line)
    return value


def _malformed(line: bytes) -> ValueError:
    return ValueError(f"a line of {len(line)} bytes is no message of format {FORMAT} of the fork server")
