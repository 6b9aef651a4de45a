from collections.abc import Iterator

import pytest
from kubernetes.client import models as k8s

from include.errors import ConfigurationError, TemporaryError
from plugins.operators.pod_launch import NoCapacityError, delete, end_other_tries, launch, read
from plugins.operators.pod_request import MANAGED_BY, REQUEST_ANNOTATION, TRY_LABEL
from tests.kube_api import KubeApi, running_kube_api


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with running_kube_api() as running:
        yield running


def asked(name: str = "flights-ingest-1", task_try: str = "try-1", request: str = "request-1") -> k8s.V1Pod:
    return k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(
            name=name,
            namespace="ml-steps",
            labels={
                **MANAGED_BY, "dag_id": "flights_data", "run_id": "r", "task_id": "ingest", "map_index": "0",
                TRY_LABEL: task_try,
            },
            annotations={REQUEST_ANNOTATION: request},
        ),
        spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", image="it")]),
    )  # fmt: skip


def test_a_pod_is_created(api: KubeApi) -> None:
    assert launch(api.client, asked()).metadata.name == "flights-ingest-1"
    assert list(api.pods) == ["flights-ingest-1"]


def test_two_launchers_of_one_try_share_one_pod(api: KubeApi) -> None:
    launch(api.client, asked())
    assert launch(api.client, asked()).metadata.name == "flights-ingest-1"
    assert (len(api.created), api.deleted) == (1, [])


def test_a_lost_answer_does_not_make_a_second_pod(api: KubeApi) -> None:
    api.loses_answers = 1
    launch(api.client, asked())
    assert (len(api.created), api.deleted) == (1, [])


@pytest.mark.parametrize("older", [asked(task_try="of-a-run-that-was-deleted"), asked(request="other-image")])
def test_a_stale_pod_of_the_same_name_is_replaced(api: KubeApi, older: k8s.V1Pod) -> None:
    launch(api.client, older)
    launch(api.client, asked())
    assert api.deleted == ["flights-ingest-1"]
    found = api.pods["flights-ingest-1"]["metadata"]
    assert (found["labels"][TRY_LABEL], found["annotations"][REQUEST_ANNOTATION]) == ("try-1", "request-1")


def test_pods_of_other_tries_are_ended_and_no_others(api: KubeApi) -> None:
    launch(api.client, asked("flights-ingest-1", "try-1"))
    other_task = asked("flights-ingest-other", "try-9")
    other_task.metadata.labels["map_index"] = "1"
    launch(api.client, other_task)
    assert end_other_tries(api.client, asked("flights-ingest-2", "try-2")) == ["flights-ingest-1"]
    assert list(api.pods) == ["flights-ingest-other"]


def test_a_used_up_quota_is_lack_of_capacity(api: KubeApi) -> None:
    api.refusals = [(403, 'pods "x" is forbidden: exceeded quota: steps, requested: memory=2Gi, used: memory=63Gi')]
    with pytest.raises(NoCapacityError, match=r"no room for pod ml-steps/flights-ingest-1: .* exceeded quota: steps"):
        launch(api.client, asked())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refused_pod_is_a_mistake_of_the_configuration(api: KubeApi, status: int) -> None:
    api.refusals = [(status, "violates PodSecurity restricted")]
    with pytest.raises(ConfigurationError, match="refuses pod ml-steps/flights-ingest-1: violates PodSecurity"):
        launch(api.client, asked())


def test_an_api_server_that_recovers_is_asked_again(api: KubeApi) -> None:
    api.refusals = [(503, "away"), (429, "too many requests")]
    launch(api.client, asked())
    assert len(api.created) == 1


def test_an_api_server_that_stays_away_is_temporary(api: KubeApi) -> None:
    api.is_away = True
    with pytest.raises(TemporaryError, match=r"could not be created within 0 s: away"):
        launch(api.client, asked(), seconds=0)
    with pytest.raises(TemporaryError, match=r"could not be read: away"):
        read(api.client, "flights-ingest-1", "ml-steps")
    with pytest.raises(TemporaryError, match=r"could not be deleted: away"):
        delete(api.client, "flights-ingest-1", "ml-steps")
    with pytest.raises(TemporaryError, match=r"could not be listed: away"):
        end_other_tries(api.client, asked())


def test_a_pod_that_is_gone_is_none(api: KubeApi) -> None:
    assert read(api.client, "flights-ingest-1", "ml-steps") is None
    delete(api.client, "flights-ingest-1", "ml-steps")
