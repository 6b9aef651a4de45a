"""The DAGs and their parameters, from those that are built for the project in this repository."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from unittest import mock

from airflow.sdk import DAG

from docs._ext.markdown import code, table
from include.contract import settings
from include.spec.load import load_project
from include.spec.project import ProjectSpec
from plugins.pipelines.data import data_dag
from plugins.pipelines.maintenance import maintenance_dags
from plugins.pipelines.scoring import scoring_dag
from plugins.pipelines.training import training_dag

EXAMPLE = "flights"


@dataclass(frozen=True)
class Kind:
    """One kind of DAG that every project has."""

    build: Callable[[ProjectSpec], DAG]
    one_run: str
    """What one run is, for a reader who sees the DAG for the first time."""
    started: str


KINDS = {
    "data": Kind(
        data_dag, "one partition: a calendar month or day of the project's timezone", "cron, backfill, web UI, API"
    ),
    "training": Kind(training_dag, "one training window", "web UI, API, cron if the spec has one"),
    "scoring": Kind(scoring_dag, "one partition", "cron if the spec has one, web UI, API"),
}


def markdown() -> str:
    """A table of the DAGs: the same that stands in the README."""
    rows = [
        (code(f"<project>_{name}"), kind.one_run, _tasks(_built(kind)), kind.started) for name, kind in KINDS.items()
    ]
    maintenance = [
        (code(name), "one look at all pods, where steps are pods", _tasks(dag), "cron, every 10 minutes")
        for name, dag in _maintenance().items()
    ]
    return table(("DAG", "one run is", "tasks", "started by"), [*rows, *maintenance])


def params_markdown() -> str:
    """A section a DAG: its parameters."""
    return "\n".join(_section(name, _built(kind)) for name, kind in KINDS.items())


def _section(name: str, dag: DAG) -> str:
    return f"## {code(f'<project>_{name}')}\n\n{table(('parameter', 'default', 'meaning'), _params(dag))}"


def _params(dag: DAG) -> Iterator[tuple[str, str, str]]:
    for name in dag.params:
        param = dag.params.get_param(name)
        default = "none" if param.value is None else code(param.value)
        yield code(name), default, param.description or ""


def _tasks(dag: DAG) -> str:
    return ", ".join(code(task.task_id) for task in dag.topological_sort())


def _built(kind: Kind) -> DAG:
    return kind.build(load_project(EXAMPLE))


def _maintenance() -> dict[str, DAG]:
    with mock.patch.dict("os.environ", {settings.EXECUTION: "kubernetes"}):
        return maintenance_dags()
