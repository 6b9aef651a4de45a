"""One real Airflow for all tests of DAG files, with steps whose behaviour a test chooses."""

import dataclasses
import io
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from local_platform.console import Console
from local_platform.demo.airflow_api import AirflowApi, DagRun, TaskInstance
from local_platform.locations import State
from local_platform.services import credentials, ports, services
from local_platform.services.fleet import Fleet
from tests.support.step_bundle import Bundle, fork_server, make_bundle, wait_until

SECONDS = 150.0


@dataclass(frozen=True)
class Airflow:
    """A running Airflow, and the bundle whose DAGs it runs."""

    api: AirflowApi
    bundle: Bundle
    variables: dict[str, str]
    """Environment of its processes."""
    logs: Path

    def run(self, dag: str, conf: dict[str, Any], state: str) -> DagRun:
        """Trigger a run without a data interval, and wait for how it ends."""
        run = self.start(dag, conf)
        wait_until(lambda: self.api.run(dag, run.run).has_ended, f"{dag} {run.run} to end", SECONDS)
        ended = self.api.run(dag, run.run)
        states = {f"{task.task} {task.label}": task.state for task in self.tasks(run)}
        assert ended.state == state, states
        return ended

    def start(self, dag: str, conf: dict[str, Any]) -> DagRun:
        self.api.unpause(dag)
        return self.api.trigger(dag, f"test__{time.time_ns()}", conf)

    def tasks(self, run: DagRun) -> list[TaskInstance]:
        return self.api.tasks(run.dag, [run.run])

    def states(self, run: DagRun) -> dict[str, str]:
        return {task.task: task.state for task in self.tasks(run)}

    def log(self, run: DagRun, task: str) -> list[str]:
        """Lines of a task's log, as level and text."""
        lines = []
        for path in sorted((self.logs / f"dag_id={run.dag}" / f"run_id={run.run}").rglob("*.log")):
            if f"task_id={task}/" in path.as_posix() or f"task_id={task}" in path.parent.name:
                lines += [json.loads(line) for line in path.read_text().splitlines()]
        return [f"{line['level']}: {line['event']} {line.get('error_detail', '')}" for line in lines]

    def cli(self, *words: str) -> str:
        """What a command of Airflow prints."""
        done = subprocess.run(
            [services.BIN / "airflow", *words], env=self.variables, check=True, capture_output=True, text=True
        )
        return done.stdout


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    root = tmp_path_factory.mktemp("airflow")
    bundle, state = make_bundle(root), State(root / "state")
    for folder in (state.airflow, state.data):
        folder.mkdir(parents=True)
    settings = services.Settings(state, ports.choose(state.ports, {}), credentials.provide(state.secrets))
    fleet = Fleet(state, Console(io.StringIO()))
    try:
        variables = _start(fleet, settings, bundle)
        api = AirflowApi(settings.ports.airflow_url, "admin", settings.credentials.passwords["admin"])
        for kind in ("data", "training", "scoring"):
            wait_until(partial(api.has_dag, f"flights_{kind}"), f"the DAG flights_{kind}", SECONDS)
        with fork_server(bundle, state.socket("fork_server")):
            yield Airflow(api, bundle, variables, state.airflow / "logs")
    finally:
        fleet.stop()


def _start(fleet: Fleet, settings: services.Settings, bundle: Bundle) -> dict[str, str]:
    local = {
        "name": "ml-platform",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(bundle.root)},
    }
    more = {
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([local]),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(bundle.root / "plugins"),
        "ML_TEST_FOLDER": str(bundle.folder),
    }
    migration = services.migration(settings)
    if migration:
        fleet.complete(migration)
    needed = services.airflow(settings)
    needed = [dataclasses.replace(one, variables={**one.variables, **more}) for one in needed]
    for service in needed:
        fleet.start(service)
    fleet.wait(needed)
    return dict(needed[0].variables)
