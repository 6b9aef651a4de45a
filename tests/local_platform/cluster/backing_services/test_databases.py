from collections.abc import Iterator

import psycopg2
import pytest

from local_platform.cluster.backing_services import databases
from local_platform.cluster.backing_services.databases import Databases
from local_platform.cluster.backing_services.postgres import OwnPostgres
from local_platform.cluster.errors import ClusterError
from local_platform.locations import State
from tests.support.servers.own_postgres import PASSWORD, open_folder, running

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
PASSWORDS = {"airflow": 'it\'s "quoted"', "mlflow": "plain"}


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with open_folder() as folder, running(State(folder)) as started:
        yield started


@pytest.fixture
def made(server: OwnPostgres) -> Databases:
    databases.provide(server.url(PASSWORD), PASSWORDS)
    address = f"127.0.0.1:{server.port}"
    return Databases(address, address, PASSWORDS)


def query(server: OwnPostgres, database: str, user: str, statement: str) -> list[tuple[object, ...]]:
    client = psycopg2.connect(
        host="127.0.0.1", port=server.port, dbname=database, user=user, password=PASSWORDS.get(user, PASSWORD)
    )
    try:
        with client.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())
    finally:
        client.close()


@pytest.mark.needs("postgresql")
class TestProvide:
    @pytest.mark.usefixtures("made")
    def test_each_database_is_its_users_own(self, server: OwnPostgres) -> None:
        owners = "SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname IN ('airflow', 'mlflow')"
        assert sorted(query(server, "postgres", "postgres", owners)) == [("airflow", "airflow"), ("mlflow", "mlflow")]
        assert query(server, "airflow", "airflow", "SELECT 1") == [(1,)]

    def test_again_it_keeps_the_data_and_changes_the_password(self, server: OwnPostgres, made: Databases) -> None:
        made.change("CREATE TABLE IF NOT EXISTS kept (word text)")
        made.change("INSERT INTO kept VALUES (?)", "it's here")
        databases.provide(server.url(PASSWORD), PASSWORDS | {"airflow": "another"})
        changed = Databases(made.address, made.own_address, {"airflow": "another"})
        assert changed.change("SELECT word FROM kept WHERE word = ?", "it's here") == ["it's here"]

    def test_before_airflow_made_its_tables_the_result_is_empty(self, made: Databases) -> None:
        assert made.change("SELECT dag_id FROM dag") == []

    def test_a_refusal_names_the_server_and_no_password(self, server: OwnPostgres) -> None:
        with pytest.raises(ClusterError, match=r"PostgreSQL at 127\.0\.0\.1 refused to create the databases") as caught:
            databases.provide(server.url("canary-that-is-wrong"), PASSWORDS)
        assert "canary" not in str(caught.value)


def test_a_server_that_does_not_respond_is_not_ready() -> None:
    assert not databases.is_ready("postgresql://postgres:secret@127.0.0.1:9")


def test_pods_and_this_machine_use_different_addresses() -> None:
    made = Databases("10.0.0.1:5433", "127.0.0.1:5433", {"mlflow": "m", "airflow": "a"})
    assert made.url("mlflow") == "postgresql+psycopg2://mlflow:m@10.0.0.1:5433/mlflow"
    assert made.own_url("airflow", "postgresql+asyncpg") == "postgresql+asyncpg://airflow:a@127.0.0.1:5433/airflow"


def test_no_password_shows_in_a_representation() -> None:
    assert "canary" not in repr(Databases("a", "b", {"mlflow": "canary"}))
