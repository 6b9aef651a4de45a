"""The training DAG: train on a window, evaluate, package, deploy."""

from airflow.sdk import DAG, Param, chain

from include.contract.step_names import StepName
from include.spec.project import ProjectSpec
from plugins.operators.step import step_task
from plugins.operators.step_resources import PARAM
from plugins.pipelines.documentation import training_doc
from plugins.pipelines.partitions import OF_WINDOW
from plugins.pipelines.schedule import cron_intervals, dag_settings, resources_param

WINDOW_AT_MOST = 1_000
"""In partitions: a typo in the trigger form is refused there."""


def training_dag(spec: ProjectSpec) -> DAG:
    """One run for each window. If the model fails a gate, the run succeeds with ``package`` and ``deploy`` skipped."""
    settings = dag_settings(spec, "training", spec.schedule.training)
    schedule = cron_intervals(spec, spec.schedule.training)
    window = {"window": "{{ params.window }}"}
    promote = window | {"promote": "{{ params.promote }}"}
    with DAG(**settings, schedule=schedule, params=_params(spec), doc_md=training_doc(spec)) as dag:
        chain(
            step_task(spec, StepName.TRAIN, partition=OF_WINDOW, options=window),
            step_task(spec, StepName.EVALUATE, partition=OF_WINDOW, options=window),
            step_task(spec, StepName.PACKAGE, partition=OF_WINDOW, options=window),
            step_task(spec, StepName.DEPLOY, partition=OF_WINDOW, options=promote),
        )
    return dag


def _params(spec: ProjectSpec) -> dict[str, Param]:
    split = spec.split
    return {
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            title="As of",
            description=(
                "The day by which the training window has ended, in the project's timezone: 2013-10-01 for a window "
                "up to September 2013. Empty: the end of the run's data interval; a run that has none needs it."
            ),
        ),
        "window": Param(
            split.window,
            type="integer",
            minimum=split.validation + split.test + 1,
            maximum=WINDOW_AT_MOST,
            title="Window",
            description=f"Number of partitions ({spec.grain}s) in the window, those for validation and test included.",
        ),
        "promote": Param(
            "yes",
            type="string",
            enum=["yes", "no"],
            title="Promote",
            description="Whether the model may become champion if it passes its gates; no: train and evaluate only.",
        ),
        PARAM: resources_param(StepName.TRAIN, StepName.EVALUATE, StepName.PACKAGE, StepName.DEPLOY),
    }
