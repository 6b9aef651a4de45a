"""Paths of everything that the local platform writes: below one folder that git ignores."""

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SOCKET_PATH_LIMIT = 100
"""Bytes; the kernel allows 108 on Linux and 104 on macOS."""
STATE_VARIABLE = "ML_PLATFORM_STATE"
"""Names another folder than ``.state`` for services and data; every process of the platform carries it."""
BUNDLE_VARIABLE = "ML_PLATFORM_BUNDLE"
"""Names another folder than the repository for what Airflow runs and images are made from: tests add a project."""


def bundle() -> Path:
    """The folder of ``dags/``, ``plugins/`` and ``include/`` that Airflow runs."""
    named = os.environ.get(BUNDLE_VARIABLE)
    return Path(named).resolve() if named else REPOSITORY


@dataclass(frozen=True)
class State:
    """The folder of one installation of services and data."""

    root: Path

    @classmethod
    def from_environment(cls, part: str = "") -> "State":
        """
        The folder that the environment names, or ``.state`` in the repository.

        :param part: a folder in it, for a second installation beside the first.
        """
        named = os.environ.get(STATE_VARIABLE)
        return cls((Path(named).resolve() if named else REPOSITORY / ".state") / part)

    @property
    def airflow(self) -> Path:
        """Airflow's home: its database and task logs."""
        return self.root / "airflow"

    @property
    def mlflow(self) -> Path:
        """MLflow's database and artifacts."""
        return self.root / "mlflow"

    @property
    def data(self) -> Path:
        """Tables and objects."""
        return self.root / "data"

    @property
    def serving(self) -> Path:
        """What the model server's supervisor keeps."""
        return self.root / "serving"

    @property
    def logs(self) -> Path:
        """One log of each service."""
        return self.root / "logs"

    @property
    def services(self) -> Path:
        """One record of each running service; its guard removes it."""
        return self.root / "services"

    @property
    def secrets(self) -> Path:
        """Passwords and keys, readable by their owner alone."""
        return self.root / "secrets"

    @property
    def ports(self) -> Path:
        """The ports chosen at the first start."""
        return self.root / "ports.json"

    @property
    def lock(self) -> Path:
        """Held by whoever starts, runs or stops the services."""
        return self.root / "platform.lock"

    def socket(self, name: str) -> Path:
        """
        Path of a Unix socket; in a private temporary folder if the state folder's own path is too long for one.

        :param name: file name without suffix.
        """
        path = self.root / "sockets" / f"{name}.sock"
        if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
            digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
            path = Path(tempfile.gettempdir()) / f"ml-platform-{os.getuid()}-{digest}" / f"{name}.sock"
        # The temporary folder is everybody's: nobody else may connect to a socket in it.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path
