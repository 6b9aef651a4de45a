"""The projects whose DAGs a DAG file builds."""

from collections.abc import Callable, Iterator
from pathlib import Path

from airflow.sdk import DAG, get_parsing_context

from include.errors import ConfigurationError
from include.spec.load import load_project, project_names
from include.spec.project import ProjectSpec


def build_for_each_project(
    build: Callable[[ProjectSpec], DAG], kind: str, folder: Path | None = None
) -> dict[str, DAG]:
    """
    One DAG of a kind for each project whose spec is valid; ``dags/specs.py`` reports the specs that are not.

    :param kind: second half of the DAG's id.
    :param folder: where projects lie, if not in ``include/projects``.
    :return: DAGs by id.
    """
    # Each task's process parses the DAG file again, and needs one DAG of it: the others are not built.
    wanted = get_parsing_context().dag_id
    names = [name for name in project_names(folder) if wanted in {None, f"{name}_{kind}"}]
    return {dag.dag_id: dag for spec in _good(names, folder) for dag in [build(spec)]}


def _good(names: list[str], folder: Path | None) -> Iterator[ProjectSpec]:
    for name in names:
        try:
            yield load_project(name, folder)
        except ConfigurationError:  # one broken spec must not take the DAGs of other projects away
            continue


def refuse_broken_specs(folder: Path | None = None) -> None:
    """
    Check every project's spec, so that Airflow shows mistakes as an import error.

    :raises ConfigurationError: with all mistakes in all specs, one a line: file, key, value and a near name.
    """
    mistakes = []
    for name in project_names(folder):
        try:
            load_project(name, folder)
        except ConfigurationError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
