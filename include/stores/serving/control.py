"""
Requests to the local model server: one JSON line to its control socket, one JSON line back.

The socket is the user's alone (0600). Both ends use these documents; the server's end is in ``include.serving``.
"""

import json
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from include.contract.document import Document
from include.errors import ConfigurationError, DataRejectedError, TemporaryError, foreign
from include.packaging.files import Bundle
from include.stores.serving.settings import ServingSettings

# asyncio's readers stop at 64 KiB unless given a limit; both ends use this one.
REPLY_LIMIT_BYTES = 1 << 20
# sun_path has 108 bytes on Linux, with the NUL at its end; macOS has 104.
_UNIX_PATH_LIMIT = 107


class ModelRecord(Document):
    """One version of a model on the server."""

    project: str
    model: str
    version: int
    digest: str
    """Digest of its bundle."""
    url: str | None = None
    """Its private address while its process runs: ``http://127.0.0.1:PORT``."""
    bundle_by: str | None = None
    """How the bundle gets to the process, where there is more than one method: ``image volume``, ``init container``."""

    def is_same(self, other: "ModelRecord | None") -> bool:
        """Whether both are the same version of the same bundle."""
        mine = (self.project, self.model, self.version, self.digest)
        return other is not None and mine == (other.project, other.model, other.version, other.digest)


class ServingStatus(Document):
    """What the server has."""

    public_url: str
    """Where predictions are served: ``http://127.0.0.1:PORT``."""
    active: ModelRecord | None = None
    """The version that has the traffic."""
    previous: ModelRecord | None = None
    """The version that had the traffic before it, kept for a rollback."""
    candidate: ModelRecord | None = None
    """A version that was started beside them and takes no traffic."""


class StatusCommand(Document):
    """Request what the server has."""

    verb: Literal["status"] = "status"


class StartCommand(Document):
    """Start a version beside the active one, without traffic."""

    verb: Literal["start"] = "start"
    folder: Path
    """The bundle; it is copied, so the folder may go afterwards."""
    record: ModelRecord
    settings: ServingSettings


class ActivateCommand(Document):
    """Give the candidate the traffic."""

    verb: Literal["activate"] = "activate"
    record: ModelRecord


class DiscardCommand(Document):
    """End the candidate."""

    verb: Literal["discard"] = "discard"
    record: ModelRecord


class RollbackCommand(Document):
    """
    Give the traffic back to what had it before the version named here, which must be the active one.

    The version named is removed from the server.
    """

    verb: Literal["rollback"] = "rollback"
    record: ModelRecord


Command = Annotated[
    StatusCommand | StartCommand | ActivateCommand | DiscardCommand | RollbackCommand, Field(discriminator="verb")
]


class Request(Document):
    """One line to the server."""

    command: Command


class Reply(Document):
    """One line back: the status, or why not."""

    status: ServingStatus | None = None
    kind: Literal["", "data", "configuration", "temporary"] = ""
    """What is at fault."""
    message: str = ""

    def value(self) -> ServingStatus:
        """
        The status.

        :raises PlatformError: of the kind that the reply names.
        """
        if self.status is not None:
            return self.status
        errors = {"data": DataRejectedError, "configuration": ConfigurationError}
        raise errors.get(self.kind, TemporaryError)(self.message)


def send(path: Path, command: Command, *, timeout_seconds: float) -> ServingStatus:
    """
    Send a command to the server.

    :raises TemporaryError: if it does not respond, or reports that the same may succeed later.
    :raises DataRejectedError: if it refuses the bundle.
    """
    check_socket_path(path)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_seconds)
            connection.connect(str(path))
            connection.sendall(Request(command=command).model_dump_json().encode() + b"\n")
            # recv returns what has arrived; a line may come in pieces.
            with connection.makefile("rb") as stream:
                line = stream.readline(REPLY_LIMIT_BYTES)
    except OSError as error:
        message = f"The model server does not answer at {path}: {foreign(error)}. Is it running? 'make up' starts it."
        raise TemporaryError(message) from error
    try:
        return Reply.model_validate_json(line).value()
    except ValidationError as error:
        message = f"The model server at {path} answered {foreign(json.dumps(line.decode(errors='replace')))}."
        raise TemporaryError(message) from error


def check_socket_path(path: Path) -> None:
    """
    Refuse a path that no Unix socket can have.

    :raises ConfigurationError: if it is too long.
    """
    size_bytes = len(str(path).encode())
    if size_bytes > _UNIX_PATH_LIMIT:
        message = f"Socket path {path} is {size_bytes} bytes long, at most {_UNIX_PATH_LIMIT} are possible."
        raise ConfigurationError(message + " Choose a shorter folder.")


def record_of(bundle: Bundle, version: int) -> ModelRecord:
    """A version of a bundle's model, as the server names it."""
    manifest = bundle.manifest
    return ModelRecord(project=manifest.project, model=manifest.model, version=version, digest=bundle.digest)
