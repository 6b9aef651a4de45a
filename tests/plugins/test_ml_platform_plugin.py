import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from include.contract.settings import EXECUTION
from plugins.airflow_patches import sweeping
from plugins.ml_platform_plugin import SweepMiddleware, may_end_tasks
from plugins.operators.step import KUBERNETES, LOCAL

ROOT = Path(__file__).resolve().parent.parent.parent
DAG, RUN = "/dags/{dag_id}", "/dags/{dag_id}/dagRuns/{dag_run_id}"
ENDING = {
    ("PATCH", f"{RUN}/taskInstances/{{task_id}}"), ("PATCH", f"{RUN}/taskInstances/{{task_id}}/{{map_index}}"),
    ("PATCH", f"{RUN}/taskInstances"), ("PATCH", f"{RUN}/taskGroupInstances/{{group_id}}"),
    ("DELETE", f"{RUN}/taskInstances/{{task_id}}"),
    ("POST", f"{DAG}/clearTaskInstances"), ("POST", f"{DAG}/clearDagRuns"), ("POST", f"{DAG}/clearPartitions"),
    ("POST", f"{RUN}/clear"), ("PATCH", RUN), ("DELETE", RUN), ("PATCH", f"{DAG}/dagRuns"), ("DELETE", DAG),
    ("PUT", "/backfills/{backfill_id}/cancel"),
}  # fmt: skip
"""Requests of Airflow's API by which a person ends tasks."""
OTHERS = {
    ("GET", RUN), ("POST", f"{DAG}/dagRuns"), ("POST", f"{DAG}/dagRuns/list"),
    ("POST", f"{RUN}/taskInstances/list"), ("PATCH", f"{RUN}/taskInstances/{{task_id}}/dry_run"),
    ("POST", "/backfills/dry_run"), ("PATCH", "/variables/{variable_key}"),
}  # fmt: skip
LISTED = """
import json
from airflow.api_fastapi.core_api.routes.public import public_router
from fastapi import FastAPI
app = FastAPI()
app.include_router(public_router)
print(json.dumps([[m.upper(), p] for p, methods in app.openapi()["paths"].items() for m in methods]))
"""


def request(method: str, path: str, kind: str = "http") -> dict[str, Any]:
    return {"type": kind, "method": method, "path": path}


def in_fresh_process(code: str, variables: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """The last line of what some code says, with the plugins folder as all that Airflow knows of the platform."""
    environment = {**os.environ, "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"), **(variables or {})}
    words = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True, cwd=cwd)
    return done.stdout.splitlines()[-1]


def test_airflow_executes_the_plugin_file_and_no_other() -> None:
    code = (
        "import sys; from airflow import plugins_manager; plugins, errors = plugins_manager._get_plugins(); "
        "print([plugin.name for plugin in plugins if plugin.name == 'ml_platform'], errors, "
        "[name for name in ('step', 'outcome', 'preloading', 'sweeping', 'data', 'stores') if name in sys.modules])"
    )
    assert in_fresh_process(code) == "['ml_platform'] {} []"


@pytest.mark.parametrize(("mode", "there"), [("", []), (LOCAL, []), (KUBERNETES, ["ml_platform_sweep"])])
def test_the_api_server_has_a_middleware_only_where_steps_are_pods(mode: str, there: list[str]) -> None:
    code = (
        "import sys; from airflow import plugins_manager; _, middlewares = plugins_manager.get_fastapi_plugins(); "
        "import json; print(json.dumps([[one['name'] for one in middlewares], 'kubernetes' in sys.modules]))"
    )
    assert json.loads(in_fresh_process(code, variables={EXECUTION: mode})) == [there, False]


def test_each_endpoint_that_ends_tasks_is_known_and_airflow_has_it() -> None:
    listed = {(method, path.removeprefix("/api/v2")) for method, path in json.loads(in_fresh_process(LISTED))}
    assert sorted((ENDING | OTHERS) - listed) == []
    ends = {(method, path) for method, path in listed if may_end_tasks(request(method, f"/below/api/v2{path}"))}
    assert sorted(ENDING - ends) == []
    assert sorted(OTHERS & ends) == []


def test_what_is_no_request_ends_nothing() -> None:
    assert not may_end_tasks({"type": "lifespan"})
    assert not may_end_tasks(request("POST", "/execution/task-instances/1/state"))


def respond(status: int, method: str) -> None:
    """Let a server respond through the middleware; the client gets the same."""
    sent: list[dict[str, Any]] = []
    messages = [{"type": "http.response.start", "status": status}, {"type": "http.response.body", "body": b"{}"}]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(SweepMiddleware(app)(request(method, "/api/v2/dags/a/dagRuns/b"), None, send))
    assert sent == messages


@pytest.mark.parametrize(
    ("status", "method", "requests"), [(200, "PATCH", 1), (204, "DELETE", 1), (403, "PATCH", 0), (200, "GET", 0)]
)
def test_pods_are_swept_after_a_response_that_ended_tasks(
    status: int, method: str, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[int] = []
    monkeypatch.setattr(sweeping.SWEEPER, "request", lambda: requested.append(1))
    respond(status, method)
    assert len(requested) == requests


def test_the_sweep_finds_the_platforms_code_by_the_plugins_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from airflow import plugins_manager; plugins_manager.get_fastapi_plugins()\n"
        "from unittest.mock import patch\n"
        "with patch('threading.Thread.start', autospec=True) as start:\n"
        "    sys.modules['ml_platform_plugin']._sweep_soon()\n"
        "import plugins.operators.pod.orphans\n"
        "print(start.call_count)"
    )
    assert in_fresh_process(code, cwd=tmp_path) == "1"
