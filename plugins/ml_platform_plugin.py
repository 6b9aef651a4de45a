"""
The platform's Airflow plugin: the only file of this folder that Airflow executes by itself.

It adds two things to Airflow. A listener lets tasks of the local executor start quickly
(``plugins/airflow_patches/preloading.py``). Where steps are pods, a middleware of the API server sweeps the pods after
a user has ended tasks (``plugins/airflow_patches/sweeping.py``).

At import it needs Airflow only: Airflow loads plugins before the bundle's root is importable.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

ROOT = Path(__file__).resolve().parent.parent
PRELOADING = "plugins.airflow_patches.preloading"
CHANGING = frozenset({"DELETE", "PATCH", "POST", "PUT"})
"""HTTP methods that may change something."""
OF_TASKS = re.compile(r"/api/v2/(dags|backfills)/.*(?<!/list)(?<!/dry_run)$")
"""Paths of Airflow's REST API at which tasks are marked, cleared and deleted, alone or with their runs."""
TRIGGER = re.compile(r".*/dagRuns")
"""A POST here starts a run and ends nothing."""
ERRORS_FROM = 400
"""HTTP statuses from here on are errors: the request changed nothing."""


class PreloadListener:
    """Preloads the platform's modules in the scheduler, and checks in each task's process that they are current."""

    @hookimpl
    def on_starting(self, component: Any) -> None:
        """Called by Airflow when one of its processes begins its work."""
        # A job's type is not yet set at this moment, so the command line has to show that this is the scheduler.
        if type(component).__name__ == "Job" and sys.argv[1:2] == ["scheduler"]:
            sys.path.append(str(ROOT))
            try:
                from plugins.airflow_patches.preloading import preload

                preload(ROOT)
            finally:
                sys.path.remove(str(ROOT))
        elif PRELOADING in sys.modules:
            sys.modules[PRELOADING].drop_if_stale()


class SweepMiddleware:
    """Requests a sweep of the pods after each successful request that may have ended tasks."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Called by the API server for each request; the sweep comes after the response and the database's commit."""
        if not may_end_tasks(scope):
            await self._app(scope, receive, send)
            return
        statuses: list[int] = []

        async def send_and_note_status(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            await send(message)

        await self._app(scope, receive, send_and_note_status)
        if statuses and statuses[0] < ERRORS_FROM:
            _sweep_soon()


def may_end_tasks(scope: Any) -> bool:
    """Whether a request may end tasks, by its method and path; ``scope`` is that of ASGI."""
    if scope["type"] != "http" or scope["method"] not in CHANGING or not OF_TASKS.search(scope["path"]):
        return False
    return not (scope["method"] == "POST" and TRIGGER.fullmatch(scope["path"]))


def _sweep_soon() -> None:
    if str(ROOT) not in sys.path:  # stays there: the API server runs no code of a bundle
        sys.path.append(str(ROOT))
    from plugins.airflow_patches.sweeping import SWEEPER

    SWEEPER.request()


class MlPlatformPlugin(AirflowPlugin):
    """What the platform adds to Airflow."""

    name = "ml_platform"
    listeners = [PreloadListener()]  # noqa: RUF012 (as Airflow declares it)
    fastapi_root_middlewares = (
        [{"name": "ml_platform_sweep", "middleware": SweepMiddleware}]
        if os.environ.get("ML_EXECUTION") == "kubernetes"
        else []
    )
