"""What the supervisor remembers over its own end: which version is active, which was before, and their bundles."""

import os
from pathlib import Path

from pydantic import ValidationError

from include.contract.document import Document
from include.errors import ConfigurationError, foreign
from include.stores.serving.control import ModelRecord
from include.stores.serving.settings import ServingSettings


class KeptModel(Document):
    """One version whose bundle the supervisor holds."""

    record: ModelRecord
    settings: ServingSettings
    folder: str
    """Name of the bundle's folder among the supervisor's bundles."""


class FleetState(Document):
    """The state file."""

    format: int = 1
    active: KeptModel | None = None
    previous: KeptModel | None = None
    older: KeptModel | None = None
    """Active before the previous one: what a rollback of the active version leaves to roll back to."""


def read_state(path: Path) -> FleetState:
    """
    Read the state file; an empty state where there is none.

    :raises ConfigurationError: if it is damaged.
    """
    try:
        return FleetState.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return FleetState()
    except (OSError, ValidationError) as error:
        message = f"The model server's state {path} cannot be read: {foreign(error)}. Remove it and deploy again."
        raise ConfigurationError(message) from error


def write_state(path: Path, state: FleetState) -> None:
    """Replace the state file in one step, on the disk when this returns."""
    # In the same folder: rename is atomic only within one file system.
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as stream:
        stream.write(state.model_dump_json(indent=1).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
