import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from local_platform.cluster.backing_services import mlflow_users, passwords
from local_platform.cluster.backing_services.passwords import Passwords
from local_platform.cluster.errors import ClusterError
from tests.support.servers.in_a_thread import serving


class Users(BaseHTTPRequestHandler):
    """MLflow's users, with their passwords."""

    known: dict[str, str]

    def do_GET(self) -> None:
        name = self.path.rpartition("=")[2]
        self._respond(200 if name in self.known else 404)

    def do_POST(self) -> None:
        self._keep()

    def do_PATCH(self) -> None:
        self._keep()

    def _keep(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if len(body["password"]) < 12:
            self._respond(400)
            return
        self.known[body["username"]] = body["password"]
        self._respond(200)

    def _respond(self, status: int) -> None:
        login = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        status = status if login == f"admin:{self.known['admin']}" else 401
        self.send_response(status)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"mine")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def made(tmp_path: Path) -> Passwords:
    return passwords.provide(tmp_path)


@pytest.fixture
def url(made: Passwords) -> Iterator[str]:
    Users.known = {"admin": made.mlflow}
    with serving(Users) as address:
        yield address


def test_the_user_is_made(url: str, made: Passwords) -> None:
    mlflow_users.provide(url, made)
    assert Users.known["steps"] == made.mlflow_steps


def test_a_user_of_an_earlier_installation_gets_the_new_password(url: str, made: Passwords) -> None:
    Users.known["steps"] = "another one"
    mlflow_users.provide(url, made)
    assert Users.known["steps"] == made.mlflow_steps


def test_an_administrator_with_another_password_is_reported_with_the_cure(url: str, made: Passwords) -> None:
    Users.known["admin"] = "another one"
    with pytest.raises(
        ClusterError, match=r"another password than the one of this installation\. Drop database mlflow_auth"
    ):
        mlflow_users.provide(url, made)


def test_a_refusal_is_reported(url: str, made: Passwords) -> None:
    short = Passwords(made.databases, made.postgres, made.mlflow, "short", made.mlflow_key, "i")
    with pytest.raises(ClusterError, match="MLflow responded 400 to POST users/create: mine"):
        mlflow_users.provide(url, short)


def test_a_server_that_does_not_respond_is_reported(made: Passwords) -> None:
    with pytest.raises(ClusterError, match=r"MLflow at http://127\.0\.0\.1:9 did not respond.*forward-mlflow\.log"):
        mlflow_users.provide("http://127.0.0.1:9", made)
