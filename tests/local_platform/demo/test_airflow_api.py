import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from include.stores.retry import Backoff
from local_platform.demo import airflow_api
from local_platform.demo.airflow_api import AirflowApi
from local_platform.errors import AirflowApiError

RUN = {"dag_id": "d", "dag_run_id": "r 1", "state": "success", "logical_date": "2013-03-01T05:00:00Z", "conf": None}
TASK = {
    "dag_id": "d", "dag_run_id": "r 1", "task_id": "t", "map_index": 2, "rendered_map_index": None, "state": None,
    "try_number": 1, "duration": None, "start_date": None,
}  # fmt: skip


class Script(ThreadingHTTPServer):
    """Sends the responses of the test, in order, and keeps the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.responses: dict[str, list[tuple[int, object]]] = {"POST /auth/token": [(201, {"access_token": "one"})]}
        self.requests: list[tuple[str, str, object]] = []

    def api(self) -> AirflowApi:
        return AirflowApi(f"http://127.0.0.1:{self.server_port}", "admin", "secret")


class Handler(BaseHTTPRequestHandler):
    server: Script

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = f"{self.command} {self.path.partition('?')[0]}"
        self.server.requests.append((name, self.headers.get("Authorization", ""), json.loads(body) if body else None))
        queue = self.server.responses[name]
        status, content = queue.pop(0) if len(queue) > 1 else queue[0]
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_PATCH = do_PUT = do_GET  # noqa: N815 (names of the standard library)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(airflow_api, "BACKOFF", Backoff(0.0, 0.0))
    with Script() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_pages_are_read_to_the_end(script: Script) -> None:
    script.responses["GET /api/v2/dags/d/dagRuns"] = [
        (200, {"dag_runs": [RUN], "total_entries": 2}),
        (200, {"dag_runs": [RUN | {"dag_run_id": "r2"}], "total_entries": 2}),
    ]
    runs = script.api().runs("d")
    assert [run.run for run in runs] == ["r 1", "r2"]
    assert runs[0].logical_date == datetime(2013, 3, 1, 5, tzinfo=UTC)
    assert runs[0].has_ended


def test_the_id_of_a_run_is_quoted(script: Script) -> None:
    path = "GET /api/v2/dags/d/dagRuns/r%201/taskInstances"
    script.responses[path] = [(200, {"task_instances": [TASK], "total_entries": 1})]
    (task,) = script.api().tasks("d", ["r 1"])
    assert (task.label, task.state) == ("2", "none")


def test_a_session_that_ran_out_is_renewed(script: Script) -> None:
    script.responses["POST /auth/token"] = [(201, {"access_token": "one"}), (201, {"access_token": "two"})]
    script.responses["PATCH /api/v2/dags/d"] = [(401, {}), (200, {})]
    script.api().unpause("d")
    assert [token for name, token, _ in script.requests if name.startswith("PATCH")] == ["Bearer one", "Bearer two"]


def test_a_request_is_retried_while_the_database_is_locked(script: Script) -> None:
    script.responses["GET /api/v2/dags/d/dagRuns/r"] = [(500, {"detail": "locked"}), (200, RUN)]
    assert script.api().run("d", "r").run == "r 1"


def test_a_refusal_shows_the_response_of_airflow(script: Script) -> None:
    script.responses["POST /api/v2/dags/d/dagRuns"] = [(400, {"detail": "window must be an integer"})]
    with pytest.raises(AirflowApiError, match=r"responded 400 to POST /api/v2/dags/d/dagRuns: .*must be an integer"):
        script.api().trigger("d", "r", {"window": "nine"})


def test_a_dag_that_was_not_parsed_yet_is_no_error(script: Script) -> None:
    script.responses["GET /api/v2/dags/d"] = [(404, {}), (200, {})]
    api = script.api()
    assert [api.has_dag("d"), api.has_dag("d")] == [False, True]


def test_no_response_is_reported_with_the_log_to_read(script: Script) -> None:
    api = AirflowApi("http://127.0.0.1:9", "admin", "secret")
    with pytest.raises(AirflowApiError, match=r"did not respond to POST /auth/token.*See airflow-api-server\.log"):
        api.run("d", "r")


def test_only_a_backfill_that_is_not_complete_is_active(script: Script) -> None:
    done, active = {"completed_at": "2026-01-01T00:00:00Z"}, {"completed_at": None}
    script.responses["GET /api/v2/backfills"] = [
        (200, {"backfills": [done], "total_entries": 1}),
        (200, {"backfills": [done, active], "total_entries": 2}),
    ]
    api = script.api()
    assert [api.has_active_backfill("d"), api.has_active_backfill("d")] == [False, True]


def test_import_errors_come_with_their_last_line(script: Script) -> None:
    trace = "Traceback\n  File x\nValueError: no such rule\n"
    error = {"filename": "dags/specs.py", "stack_trace": trace}
    script.responses["GET /api/v2/importErrors"] = [(200, {"import_errors": [error]})]
    assert script.api().import_errors() == ["dags/specs.py: ValueError: no such rule"]
