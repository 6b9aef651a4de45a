"""Schedule and common settings of a project's DAGs."""

import json
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, Param

from include.contract.partition import Partition
from include.contract.step_names import StepName
from include.spec.project import ProjectSpec
from include.spec.resources import ResourceSpec
from plugins.operators.step_resources import NOT_AT_RUN_TIME
from plugins.pipelines.partitions import macros


def cron_intervals(spec: ProjectSpec, cron: str | None) -> CronDataIntervalTimetable | None:
    """The timetable that runs a DAG for each data interval after its end; None if the spec has no cron expression."""
    return CronDataIntervalTimetable(cron, timezone=spec.timezone) if cron else None


def dag_settings(spec: ProjectSpec, kind: str, cron: str | None) -> dict[str, Any]:
    """
    The arguments that all DAGs of a project share: first and last day, owner, tags, limits.

    :param kind: the second half of the DAG's id, and a tag: ``data``, ``training`` or ``scoring``.
    :param cron: the DAG's cron expression; None for a DAG that is started by hand or by API.
    """
    return {
        **_days(spec, cron),
        "dag_id": f"{spec.name}_{kind}",
        "description": spec.description,
        "max_active_runs": spec.schedule.runs_at_once,
        "default_args": {"owner": spec.owner.team},
        "tags": {spec.name, kind},
        "user_defined_macros": macros(spec),
        "render_template_as_native_obj": False,
    }


def resources_param(*steps: StepName) -> Param:
    """
    The trigger form's field for the resources of steps in one run.

    :param steps: the steps of the DAG.
    """
    words = ", ".join(step.value for step in steps)
    example = {steps[0].value: {"cpu": 2, "memory": "4Gi", "memory_at_most": "8Gi", "timeout": "2h"}}
    return Param(
        {},
        type=["null", "object"],
        title="Resources",
        description=(
            f"Overrides the resources in project.yaml for this run; an object, step ({words}) -> "
            f"{', '.join(name for name in ResourceSpec.model_fields if name not in NOT_AT_RUN_TIME)}, like "
            f"{json.dumps(example)}. In execution mode 'local' only cpu and timeout have an effect."
        ),
    )


def _days(spec: ProjectSpec, cron: str | None) -> dict[str, Any]:
    """First and last day of a DAG with a schedule; nothing for one without."""
    # Airflow gives a run outside of a DAG's first and last day no tasks, and a run by hand may be of any day.
    if not cron:
        return {}
    # The end date is inclusive: Airflow still starts the run whose interval begins at it.
    last = Partition.ending_at(spec.end, spec.grain) if spec.end is not None else None
    return {
        "start_date": Partition(spec.start, spec.grain).bounds(spec.timezone)[0],
        "end_date": last.bounds(spec.timezone)[0] if last is not None else None,
        "catchup": spec.schedule.catch_up,
    }


def partition_param(spec: ProjectSpec) -> Param:
    """The trigger form's field for the partition, which a run without a data interval needs."""
    return Param(
        None,
        type=["null", "string"],
        pattern=spec.grain.pattern,
        title="Partition",
        description=(
            f"The {spec.grain} to work on, like {spec.grain.example}; then empty the logical date. "
            "Empty: the one of the run's data interval; a run that has none needs it."
        ),
    )
