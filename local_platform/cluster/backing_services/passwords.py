"""Passwords of the cluster's services: generated at the first start, then kept, because databases hold them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_platform.cluster.backing_services.databases import NAMES
from local_platform.cluster.backing_services.postgres import ADMIN
from local_platform.services.credentials import kept, password

KEY_BYTES = 32
MLFLOW_ADMIN, MLFLOW_STEPS = "admin", "steps"


@dataclass(frozen=True)
class Passwords:
    """The secrets of one installation."""

    databases: Mapping[str, str] = field(repr=False)
    """By user."""
    postgres: str = field(repr=False)
    """Of the administrator of a PostgreSQL of its own."""
    mlflow: str = field(repr=False)
    """Of MLflow's administrator."""
    mlflow_steps: str = field(repr=False)
    """Of MLflow's user for the steps."""
    mlflow_key: str = field(repr=False)
    """Key with which MLflow signs its sessions."""
    installation: str
    """Id of this installation, by which others on the same cluster recognise its namespaces."""


def provide(folder: Path) -> Passwords:
    """Read the secrets below a folder; generate those that are missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = {name: password() for name in (*NAMES, ADMIN, "mlflow-admin", "mlflow-steps")}
    fresh |= {"mlflow-key": secrets.token_urlsafe(KEY_BYTES), "installation": secrets.token_hex(8)}
    known = kept(folder / "cluster.json", fresh)
    return Passwords(
        databases={name: known[name] for name in NAMES},
        postgres=known[ADMIN],
        mlflow=known["mlflow-admin"],
        mlflow_steps=known["mlflow-steps"],
        mlflow_key=known["mlflow-key"],
        installation=known["installation"],
    )
