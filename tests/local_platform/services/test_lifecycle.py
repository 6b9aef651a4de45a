import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from local_platform.console import Console
from local_platform.errors import PlatformStartError
from local_platform.locations import State
from local_platform.services import lifecycle


def test_services_of_which_one_is_gone_are_not_used(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert lifecycle.settings_of(state) is None
    (tmp_path / "up.json").write_text(json.dumps({"services": ["mlflow"]}))
    assert lifecycle.settings_of(state) is None


def test_a_service_that_ended_by_itself_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.logs.mkdir()
    (state.logs / "postgres.log").write_text("no space left on device\n")
    with pytest.raises(PlatformStartError, match=r"postgres ended by itself.*\n    no space left on device"):
        lifecycle.require_running(state, ["postgres"])
    lifecycle.require_running(state, [])


def test_before_there_is_a_database_nothing_is_held(tmp_path: Path) -> None:
    assert lifecycle.settle(lifecycle.sqlite(State(tmp_path))) == []


def test_down_forgets_that_something_was_up(tmp_path: Path) -> None:
    (tmp_path / "up.json").write_text(json.dumps({"services": ["mlflow"]}))
    stream = io.StringIO()
    lifecycle.down(State(tmp_path), Console(stream))
    assert stream.getvalue() == "nothing was running\n"
    assert not (tmp_path / "up.json").exists()


def database(tmp_path: Path) -> State:
    state = State(tmp_path)
    state.airflow.mkdir()
    (state.airflow / "migrated").touch()
    return state


def test_what_an_earlier_start_left_waits_until_all_services_are_ready(tmp_path: Path) -> None:
    state = database(tmp_path)
    with closing(sqlite3.connect(state.airflow / "airflow.db")) as connection, connection:
        connection.execute("CREATE TABLE job (id INTEGER, state TEXT)")
        connection.execute("INSERT INTO job VALUES (1, 'running'), (2, 'success')")
        connection.execute("CREATE TABLE dag (dag_id TEXT, is_paused BOOLEAN)")
        connection.execute("INSERT INTO dag VALUES ('data', 0), ('training', 1)")
    change = lifecycle.sqlite(state)
    held = lifecycle.settle(change)
    paused = "SELECT is_paused FROM dag ORDER BY dag_id"
    with closing(sqlite3.connect(state.airflow / "airflow.db")) as connection:
        assert connection.execute("SELECT state FROM job ORDER BY id").fetchall() == [("failed",), ("success",)]
        assert connection.execute(paused).fetchall() == [(1,), (1,)]
        lifecycle.release(change, held)
        assert connection.execute(paused).fetchall() == [(0,), (1,)]


def test_a_damaged_database_is_reported_with_what_to_do(tmp_path: Path) -> None:
    state = database(tmp_path)
    (state.airflow / "airflow.db").write_text("this is no database, however long it may be read" * 100)
    with pytest.raises(
        PlatformStartError, match=r"airflow\.db cannot be used: .*Move it away to begin with an empty one"
    ):
        lifecycle.settle(lifecycle.sqlite(state))
