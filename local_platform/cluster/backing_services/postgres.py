"""
A PostgreSQL of the installation's own, run from the programs that the system has.

PostgreSQL refuses to run as root, so root runs it as the system's user ``postgres``. Every connection needs a password,
and from outside this machine each user reaches only the database of the same name.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_platform.bootstrap import clean_environment
from local_platform.cluster.backing_services.databases import is_ready
from local_platform.cluster.errors import ClusterError
from local_platform.cluster.settings import POSTGRES
from local_platform.locations import STATE_VARIABLE, State
from local_platform.services.ports import LOOPBACK
from local_platform.services.services import Service

ADMIN = "postgres"
SYSTEM_USER = "postgres"
PROGRAMS = ("initdb", "postgres")
DEBIAN = Path("/usr/lib/postgresql")
ACCESS = f"""\
# Whoever comes from elsewhere is a pod, and gets to its own database alone.
host all {ADMIN} {LOOPBACK}/32 scram-sha-256
host all {ADMIN} all reject
host sameuser all all scram-sha-256
"""
EXCERPT_LINES = 10
CONNECT_SECONDS = 2.0


@dataclass(frozen=True)
class OwnPostgres:
    """One server and its folder."""

    state: State
    address: str
    """The machine's address as pods reach it; the server listens on loopback as well."""
    port: int

    @property
    def folder(self) -> Path:
        """Belongs to the user that the server runs as."""
        return self.state.root / "postgres"

    @property
    def data(self) -> Path:
        """The server's data; complete, or missing."""
        return self.folder / "data"

    def make(self, password: str) -> bool:
        """
        Create the data folder if there is none.

        :param password: of the administrator.
        :return: whether it was created.
        :raises ClusterError: if PostgreSQL's programs are missing, or initdb fails.
        """
        if self.data.exists():
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        user = _user()
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        fresh = self.folder / "data.unfinished"
        shutil.rmtree(fresh, ignore_errors=True)
        with self._password_file(password) as file:
            _call(
                *_as_user(), str(self._program("initdb")), "--pgdata", str(fresh), "--username", ADMIN,
                "--pwfile", file, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale",
            )  # fmt: skip
        # initdb takes seconds: a kill in between leaves no half-made folder under the final name.
        fresh.rename(self.data)
        return True

    def service(self, password: str) -> Service:
        """
        The server.

        :param password: of the administrator, for the readiness probe.
        """
        (self.data / "pg_hba.conf").write_text(ACCESS)
        options = {
            "listen_addresses": ",".join(dict.fromkeys([LOOPBACK, self.address])),
            "port": str(self.port),
            # Its default folder is the system's, which only the distribution's own server may write to.
            "unix_socket_directories": "",
        }
        words = [*_as_user(), str(self._program("postgres")), "-D", str(self.data)]
        for name, value in options.items():
            words += ["-c", f"{name}={value}"]
        # PGDATA, PGSSLMODE and their like are those of somebody's own server.
        kept = {name: value for name, value in clean_environment().items() if not name.startswith("PG")}
        return Service(
            name="postgres",
            words=tuple(words),
            variables=kept | {STATE_VARIABLE: str(self.state.root)},
            is_ready=lambda: is_ready(self.url(password)) and self._listens(),
            # Fast shutdown: with SIGTERM it would wait for its clients in the cluster to disconnect.
            stop_signal=signal.SIGINT,
        )

    def url(self, password: str) -> str:
        """URL of the administrator, valid from this machine alone."""
        return f"postgresql://{ADMIN}:{password}@{LOOPBACK}:{self.port}"

    def _listens(self) -> bool:
        """Whether it listens on the address for pods: PostgreSQL starts if one of several addresses works."""
        try:
            socket.create_connection((self.address, self.port), CONNECT_SECONDS).close()
        except OSError:
            return False
        return True

    def _program(self, name: str) -> Path:
        return programs(self.data)[PROGRAMS.index(name)]

    @contextlib.contextmanager
    def _password_file(self, password: str) -> Iterator[str]:
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix="password-") as file:
            file.write(password)
            file.flush()
            user = _user()
            if user:
                os.chown(file.name, user.pw_uid, user.pw_gid)
            yield file.name


def programs(data: Path) -> list[Path]:
    """
    PostgreSQL's programs: those of the version that made the data, else on PATH, else the newest of Debian's folders.

    :raises ClusterError: if there are none.
    """
    made_by = data / "PG_VERSION"
    version = made_by.read_text().strip() if made_by.exists() else ""
    folders = [Path(found).parent for name in PROGRAMS if (found := shutil.which(name))]
    folders += sorted(DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for folder in folders:
        both = [folder / name for name in PROGRAMS]
        if all(program.exists() for program in both) and (not version or _version(both[-1]) == version):
            return both
    which = f"version {version}, which made {data}, is" if version else "is"
    advice = f"Install it (on Debian and Ubuntu: apt-get install postgresql), or name one that runs in {POSTGRES}."
    raise ClusterError(f"PostgreSQL {which} neither on PATH nor below {DEBIAN}. {advice}")


def _version(program: Path) -> str:
    output = subprocess.run([program, "--version"], check=False, text=True, capture_output=True).stdout.split()
    return output[2].partition(".")[0] if len(output) > 2 else ""  # noqa: PLR2004 (postgres (PostgreSQL) 15.1 …)


def _user() -> pwd.struct_passwd | None:
    """The user that the server runs as; None for the user of this process."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        advice = f"Make that user, call as another one, or name a PostgreSQL that runs in {POSTGRES}."
        message = f"PostgreSQL does not run as root, and this machine has no user '{SYSTEM_USER}'. {advice}"
        raise ClusterError(message) from None


def _as_user() -> Sequence[str]:
    if _user() is None:
        return ()
    return ("setpriv", f"--reuid={SYSTEM_USER}", f"--regid={SYSTEM_USER}", "--init-groups")


def _call(*words: str) -> None:
    # The user postgres may not be able to enter the current folder, and initdb fails then.
    done = subprocess.run(words, cwd="/", check=False, text=True, capture_output=True)
    if done.returncode:
        excerpt = "\n".join(f"    {line}" for line in (done.stdout + done.stderr).strip().splitlines()[-EXCERPT_LINES:])
        raise ClusterError(f"PostgreSQL's data folder could not be created:\n{excerpt}")
