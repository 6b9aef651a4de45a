"""The databases of Airflow and MLflow in a PostgreSQL, each with a user of its own."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local_platform.cluster.errors import ClusterError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 (psycopg2 writes its classes small)

AIRFLOW, MLFLOW, MLFLOW_AUTH = "airflow", "mlflow", "mlflow_auth"
NAMES = (AIRFLOW, MLFLOW, MLFLOW_AUTH)
MAINTENANCE = "postgres"
"""The database that every PostgreSQL has."""
DRIVER = "postgresql+psycopg2"
CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Databases:
    """Addresses and passwords of the databases."""

    address: str
    """``host:port`` as pods reach it."""
    own_address: str
    """``host:port`` as this machine reaches it."""
    passwords: Mapping[str, str] = field(repr=False)
    """By user; a user and its database have the same name."""

    def url(self, name: str) -> str:
        """SQLAlchemy's URL of one database for a pod; it names the driver, as SQLAlchemy's default may change."""
        return f"{DRIVER}://{name}:{self.passwords[name]}@{self.address}/{name}"

    def own_url(self, name: str, scheme: str = "postgresql") -> str:
        """
        URL of one database for this machine, with the database's own user.

        :param scheme: ``postgresql``, or with a driver as SQLAlchemy writes it.
        """
        return f"{scheme}://{name}:{self.passwords[name]}@{self.own_address}/{name}"

    def change(self, statement: str, *values: str) -> list[str]:
        """
        Execute a statement on Airflow's database.

        :param statement: with a question mark for each value.
        :return: the first column of the result; empty if Airflow has not made its tables yet.
        """
        import psycopg2

        with _connected(self.own_url(AIRFLOW)) as connection, connection.cursor() as cursor:
            try:
                cursor.execute(statement.replace("?", "%s"), values)
            except psycopg2.errors.UndefinedTable:
                return []
            return [str(row[0]) for row in cursor.fetchall()] if cursor.description else []


def is_ready(url: str) -> bool:
    """Whether the server accepts a connection of the URL's user."""
    import psycopg2

    try:
        psycopg2.connect(f"{url}/{MAINTENANCE}", connect_timeout=CONNECT_SECONDS).close()
    except psycopg2.OperationalError:
        return False
    return True


def provide(url: str, passwords: Mapping[str, str]) -> None:
    """
    Create users and databases that do not exist, and set the passwords of all users.

    :param url: of a server, with a user who may create databases.
    :param passwords: by name of the user, which is the database's name as well.
    :raises ClusterError: if the server does not respond or refuses.
    """
    import psycopg2

    try:
        with _connected(f"{url}/{MAINTENANCE}") as connection:
            for name, password in passwords.items():
                _provide_one(connection, name, password)
    except psycopg2.Error as error:
        host = urlsplit(url).hostname
        raise ClusterError(f"PostgreSQL at {host} refused to create the databases: {_one_line(error)}") from error


def _provide_one(connection: "Connection", name: str, password: str) -> None:
    from psycopg2.sql import SQL, Identifier, Literal

    user = Identifier(name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
        if cursor.fetchone() is None:
            # PostgreSQL has no CREATE ROLE IF NOT EXISTS, and none for databases.
            cursor.execute(SQL("CREATE ROLE {} LOGIN").format(user))
        cursor.execute(SQL("ALTER ROLE {} PASSWORD {}").format(user, Literal(password)))
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if cursor.fetchone() is None:
            # A user who is no superuser may make a database only for a role that it is a member of.
            cursor.execute(SQL("GRANT {} TO CURRENT_USER").format(user))
            cursor.execute(SQL("CREATE DATABASE {} OWNER {}").format(user, user))
            cursor.execute(SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(user))


@contextlib.contextmanager
def _connected(url: str) -> Iterator["Connection"]:
    import psycopg2

    connection = psycopg2.connect(url, connect_timeout=CONNECT_SECONDS)
    try:
        # CREATE DATABASE cannot run inside a transaction.
        connection.autocommit = True
        yield connection
    finally:
        connection.close()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
