import re
from dataclasses import replace

from include.contract.command import StepCommand
from include.contract.step_names import StepName
from plugins.operators import pod_request
from plugins.operators.pod_request import TaskTry
from plugins.operators.pod_settings import PodSettings

TRY = TaskTry(
    dag="flights_data", run="scheduled__2013-03-01T05:00:00+00:00", task="ingest", map_index=2, attempt=1, id="0199"
)
SETTINGS = PodSettings(image="it@sha256:1", namespace="ml-steps", environment={"ML_TABLES_URI": "s3://bucket/tables"})


def test_one_try_has_one_name() -> None:
    assert TRY.pod_name() == replace(TRY, id="another").pod_name()
    others = {
        replace(TRY, dag="other").pod_name(), replace(TRY, run="other").pod_name(),
        replace(TRY, task="other").pod_name(),
        replace(TRY, map_index=3).pod_name(), replace(TRY, attempt=2).pod_name(), TRY.pod_name(),
    }  # fmt: skip
    assert len(others) == 6


def test_a_name_is_one_that_kubernetes_takes() -> None:
    for task_try in (TRY, replace(TRY, dag="d" * 200, task="Ünusual.task--"), replace(TRY, dag="-", task="_")):
        name = task_try.pod_name()
        assert len(name) <= 63
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name), name


def test_secrets_are_references_and_open_values_are_not() -> None:
    found = {
        variable.name: variable
        for variable in pod_request.environment(SETTINGS, 2, {"ml-connection-sales": ("ML_CONNECTION_SALES",)})
    }
    assert found["ML_TABLES_URI"].value == "s3://bucket/tables"
    assert found["OMP_NUM_THREADS"].value == "2"
    assert found["ML_ERROR_PATH"].value == "/dev/termination-log"
    key = found["AWS_SECRET_ACCESS_KEY"]
    assert key.value is None
    assert (key.value_from.secret_key_ref.name, key.value_from.secret_key_ref.optional) == ("ml-s3", True)
    sales = found["ML_CONNECTION_SALES"].value_from.secret_key_ref
    assert (sales.name, sales.key, sales.optional) == ("ml-connection-sales", "ML_CONNECTION_SALES", False)


def test_another_image_argument_or_variable_is_another_request() -> None:
    variables = pod_request.environment(SETTINGS, 1)
    same = pod_request.request_digest("it", ["ingest"], variables)
    assert same == pod_request.request_digest("it", ["ingest"], pod_request.environment(SETTINGS, 1))
    assert same != pod_request.request_digest("other", ["ingest"], variables)
    assert same != pod_request.request_digest("it", ["validate"], variables)
    assert same != pod_request.request_digest("it", ["ingest"], pod_request.environment(SETTINGS, 2))


def test_memory_is_a_limit_and_cpu_is_not() -> None:
    asked = pod_request.resources(0.5, "2Gi")
    assert asked.requests["cpu"] == "500m"
    assert asked.limits["memory"] == asked.requests["memory"] == "2Gi"
    assert "cpu" not in asked.limits


def test_labels_find_the_pods_of_a_project_and_a_step() -> None:
    command = StepCommand(step=StepName.INGEST, project="flights", partition="2013-03", run="r")
    found = pod_request.labels(command, TRY)
    assert (found["ml-platform/project"], found["ml-platform/step"]) == ("flights", "ingest")
    assert found["ml-platform/try"] == "0199"
