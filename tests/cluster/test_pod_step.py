"""Steps as pods of a real cluster, driven by a real Airflow: what goes wrong there, caused on purpose."""

import io
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from kubernetes.client import models as k8s

from include.stores.kubernetes import security
from local_platform import images
from local_platform.cluster.manifests import AIRFLOW_ACCOUNT
from local_platform.console import Console
from local_platform.demo.airflow_api import DagRun
from plugins.operators.pod.api import PodApi
from plugins.operators.pod.attempt import Progress, attempt_of
from plugins.operators.pod.names import MANAGED_BY, MANAGER, SELECTOR, TASK
from plugins.operators.pod.operator import PodStepOperator
from plugins.operators.pod.spec import pod_of
from plugins.operators.step_call import StepCall
from tests.support.cluster.airflow_world import CANARY, DAG, World, airflow_world, setting, wait_until
from tests.support.cluster.stand_in_image import stand_in
from tests.support.worlds.pod_world import context

pytestmark = [pytest.mark.needs("cluster"), pytest.mark.timeout(1800)]
CALL = StepCall(step="score", project="flights", partition="2013-09", options={})
GONE_SECONDS = 20.0
"""'Within seconds': the triggerer looks every second or two, and the step has five to end."""


@pytest.fixture(scope="session")
def image() -> str:
    registry = images.ArtifactRegistry.parse(setting("CLUSTER_REGISTRY"))
    base = os.environ.get("CLUSTER_IMAGE_BASE", "")
    given = os.environ.get("CLUSTER_STEP_IMAGE")  # any will do: only its libraries count
    step = given or images.provide(registry, ("step",), Console(io.StringIO()), base)["step"]
    return stand_in(step, "http" if registry.is_plain else "https")


@pytest.fixture(scope="module")
def world(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with airflow_world(tmp_path_factory.mktemp("airflow"), image) as found:
        yield found


def numbers(world: World, run: DagRun, attempt: int | None = None) -> list[int]:
    """Which of the lines that a step numbered are in the task's log, in order."""
    lines = [line for line in world.log(run, attempt) if line.startswith("info: worked: number=")]
    return [int(line.partition("=")[2]) for line in lines]


def gone(world: World, run: DagRun) -> bool:
    return not world.pods(run)


def test_a_step_is_one_container_and_its_pod_is_gone_when_it_is_done(world: World) -> None:
    run = world.start("lines-then-never")
    pod = world.pod(run, "Running")
    assert [one.name for one in pod.spec.containers] == ["step"]
    assert not pod.spec.init_containers
    assert pod.spec.automount_service_account_token is False
    assert CANARY not in str(pod)
    world.ended(run, "success")
    assert numbers(world, run) == list(range(60)), "each line once, though the task slept in between"
    assert gone(world, run)
    assert {outcome["status"] for outcome in world.outcomes(run)} == {"done"}


def test_a_task_that_is_marked_failed_while_it_sleeps_leaves_no_pod_and_publishes_nothing(world: World) -> None:
    run = world.start("long")
    world.pod(run, "Running")
    world.wait(run, "deferred")
    wait_until(lambda: world.is_watched(run), "the triggerer to watch the pod")
    world.mark(run)
    wait_until(lambda: gone(world, run), "the pod to go", GONE_SECONDS)
    assert not published(world, run)


def test_a_task_that_is_marked_failed_while_it_watches_leaves_no_pod(world: World) -> None:
    run = world.start("long")
    world.pod(run, "Running")
    assert world.task(run).state == "running"
    world.mark(run)
    wait_until(lambda: gone(world, run), "the pod to go", GONE_SECONDS)


def published(world: World, run: DagRun) -> list[dict[str, Any]]:
    return [outcome for outcome in world.outcomes(run) if outcome.get("receipt")]


def test_a_task_that_is_marked_failed_between_two_sleeps_leaves_no_pod_and_ends_well_when_it_is_cleared(
    world: World,
) -> None:
    """Without a triggerer no task leaves that moment: it fell asleep, and nobody watches its pod."""
    with world.without("airflow-triggerer"):
        run, spared = world.start("long-then-done"), world.start("long")
        for one in (run, spared):
            world.pod(one, "Running")
            world.wait(one, "deferred")
        world.mark(run)
        wait_until(lambda: gone(world, run), "the pod to go", GONE_SECONDS)
        assert world.called_off(run) == ["revoked-001-001.json"]
        assert not published(world, run)
        world.api.clear(run)
        assert world.ended(run, "success").try_number == 2
        assert [outcome["attempt"] for outcome in published(world, run)] == [2]
        assert [pod.metadata.deletion_timestamp for pod in world.pods(spared)] == [None], "its task still sleeps"
        world.mark_run(spared, "failed")
        wait_until(lambda: gone(world, spared), "the pod to go", GONE_SECONDS)


def test_whichever_way_a_task_is_ended_between_two_sleeps_it_leaves_no_pod(world: World) -> None:
    asked = {"score": {"node_selector": {"no": "such-node"}}}  # it falls asleep at once
    ways: list[Callable[[DagRun], None]] = [
        partial(world.mark, state="success"),
        partial(world.mark_run, state="success"),
        partial(world.mark_run, state="failed"),
        world.api.clear,
    ]
    with world.without("airflow-triggerer"):
        for way in ways:
            run = world.start("done", resources=asked)
            world.pod(run, "Pending")
            world.wait(run, "deferred")
            world.api.pause(DAG)  # or the next try of a task that is cleared would end the pod
            try:
                way(run)
                wait_until(partial(gone, world, run), f"the pod to go after {way}", GONE_SECONDS)
                assert world.called_off(run) == ["revoked-001-001.json"]
                world.mark_run(run, "failed")
            finally:
                world.api.unpause(DAG)


def test_two_launchers_of_one_try_make_one_pod(world: World, image: str) -> None:
    settings = world.variables | {"ML_STEP_IMAGE": image}
    told = context(resources={"score": {"cpu": 0.1}}, run_id=f"done__{secrets.token_hex(4)}")
    attempt = attempt_of(CALL, told, settings, Progress(since=0.0))
    api = PodApi(world.airflows_core, world.namespace)
    try:
        with ThreadPoolExecutor(8) as pool:
            pods = list(pool.map(lambda _: api.launch(pod_of(attempt)), range(8)))
        assert len({pod.metadata.uid for pod in pods}) == 1
    finally:
        api.delete(attempt.stub())


def test_a_step_that_is_killed_before_its_receipt_failed_and_its_last_lines_are_there_once(world: World) -> None:
    run = world.start("killed-then-done")
    task = world.ended(run, "success")
    assert task.try_number == 2
    assert numbers(world, run, 1) == list(range(10))
    assert any("was ended by SIGKILL before it left a receipt" in line for line in world.log(run, 1))
    wait_until(lambda: len(world.pods(run)) < 2, "the pod that did its work to go")
    assert len(world.pods(run)) == 1, "the pod that failed stays for people to look at"


def test_a_step_that_is_killed_after_its_receipt_is_done(world: World) -> None:
    run = world.start("killedafter")
    assert world.ended(run, "success").try_number == 1


def test_evicted_retried_cleared_each_time_a_fresh_pod_and_a_fresh_result(world: World) -> None:
    run = world.start("long-then-done-then-done")
    pod = world.pod(run, "Running")
    evicted = k8s.V1Eviction(metadata=k8s.V1ObjectMeta(name=pod.metadata.name, namespace=world.namespace))
    world.core.create_namespaced_pod_eviction(pod.metadata.name, world.namespace, evicted)
    assert world.ended(run, "success").try_number == 2
    world.api.clear(run)
    wait_until(lambda: world.task(run).try_number == 3, "the third try")
    world.ended(run, "success")
    done = [outcome["receipt"] for outcome in world.outcomes(run) if outcome["status"] == "done"]
    assert len(set(done)) == 2


def test_a_missing_secret_fails_at_once_with_the_words_of_the_cluster(world: World) -> None:
    secret = world.core.read_namespaced_secret("ml-connection-mlflow", world.namespace)
    world.core.delete_namespaced_secret("ml-connection-mlflow", world.namespace)
    try:
        run = world.start("done")
        assert world.ended(run, "failed").try_number == 1
    finally:
        body = k8s.V1Secret(metadata=k8s.V1ObjectMeta(name="ml-connection-mlflow"), data=secret.data)
        world.core.create_namespaced_secret(world.namespace, body)
    assert any('secret "ml-connection-mlflow" not found' in line for line in world.log(run))
    wait_until(lambda: gone(world, run), "the pod to go", GONE_SECONDS)


class Alone(PodStepOperator):
    """The operator without an Airflow around it."""

    world: World

    @property
    def client(self) -> Any:
        return self.world.airflows_core


@contextmanager
def alone(world: World, patch: pytest.MonkeyPatch, **more: str) -> Iterator[tuple[Alone, Any]]:
    for name, value in {**world.variables, **more}.items():
        if name.startswith(("ML_", "AWS_")):
            patch.setenv(name, value)
    Alone.world = world
    yield (
        Alone(task_id="score", step="score", project="flights", partition="2013-09"),
        context(run_id=f"done__{secrets.token_hex(4)}"),
    )


def test_an_unknown_image_fails_at_once_with_the_words_of_the_registry(
    world: World, monkeypatch: pytest.MonkeyPatch, image: str
) -> None:
    unknown = f"{image.partition('@')[0]}@sha256:{'0' * 64}"
    with (
        alone(world, monkeypatch, ML_STEP_IMAGE=unknown) as (operator, told),
        pytest.raises(AirflowFailException, match=r"cannot start: ErrImagePull: .*not found"),
    ):
        operator.execute(told)
    name = attempt_of(CALL, told, world.variables, Progress(since=0.0)).name
    pods = world.core.list_namespaced_pod
    wait_until(lambda: name not in str(pods(world.namespace).items), "the pod to go", GONE_SECONDS)


def test_a_namespace_that_airflow_may_not_use_fails_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account = f"system:serviceaccount:{world.namespace}:{AIRFLOW_ACCOUNT}"
    with (
        alone(world, monkeypatch, ML_POD_NAMESPACE="default") as (operator, told),
        pytest.raises(AirflowFailException, match=rf'refused \(403\): pods is forbidden: .*"{account}" cannot list'),
    ):
        operator.execute(told)


def test_a_used_up_quota_is_waited_for(world: World) -> None:
    quota = k8s.V1ResourceQuota(
        metadata=k8s.V1ObjectMeta(name="none"), spec=k8s.V1ResourceQuotaSpec(hard={"pods": "0"})
    )
    world.core.create_namespaced_resource_quota(world.namespace, quota)
    try:
        wait_until(
            lambda: world.core.read_namespaced_resource_quota("none", world.namespace).status.hard, "the quota to count"
        )
        run = world.start("done")
        world.wait(run, "deferred")
        assert gone(world, run)
    finally:
        world.core.delete_namespaced_resource_quota("none", world.namespace)
    assert world.ended(run, "success").try_number == 1
    assert any("exceeded quota: none" in line for line in world.log(run))


def test_a_pod_that_no_node_takes_is_waited_for_until_the_specs_deadline(world: World) -> None:
    asked = {"score": {"node_selector": {"no": "such-node"}, "capacity_wait": "15s"}}
    run = world.start("done", resources=asked)
    world.wait(run, "deferred")
    assert world.ended(run, "failed").try_number == 1
    said = [line for line in world.log(run) if "did not start within 0:00:15" in line]
    assert said
    assert "nodes are available" in said[0]
    wait_until(lambda: gone(world, run), "the pod to go", GONE_SECONDS)


def test_too_little_memory_ends_with_a_larger_size(world: World) -> None:
    run = world.start("greedy", resources={"score": {"memory": "256Mi", "memory_at_most": "1Gi"}})
    assert world.ended(run, "success").try_number in {2, 3}
    assert any("needs more than 256Mi of memory" in line and "gets 512Mi" in line for line in world.log(run, 1))


def test_at_the_ceiling_it_ends_with_a_sentence_that_says_what_was_needed(world: World) -> None:
    run = world.start("greedy", resources={"score": {"memory": "256Mi", "memory_at_most": "256Mi"}})
    assert world.ended(run, "failed").try_number == 1
    assert any("needs more than 256Mi of memory" in line and "Raise execution" in line for line in world.log(run))


def test_a_step_that_fills_its_disk_is_told_so(world: World) -> None:
    run = world.start("disk", resources={"score": {"ephemeral_storage": "16Mi"}})
    world.ended(run, "failed")
    assert any("wrote more to disk than it may" in line for line in world.log(run))


def test_a_time_limit_ends_the_step(world: World) -> None:
    run = world.start("long-then-done", resources={"score": {"timeout": "5s"}})
    task = world.ended(run, "success")
    assert task.try_number == 2


@pytest.mark.parametrize("service", ["airflow-triggerer", "airflow-scheduler"])
def test_a_run_outlives_the_end_of_a_part_of_airflow(world: World, service: str) -> None:
    run = world.start("lines")
    world.pod(run, "Running")
    world.wait(run, "deferred")
    world.restart(service)
    assert world.ended(run, "success").try_number == 1
    assert numbers(world, run) == list(range(60))


def test_a_mistake_in_the_form_is_one_sentence(world: World) -> None:
    run = world.start("done", resources={"score": {"memry": "1Gi"}})
    assert world.ended(run, "failed").try_number == 1
    assert any("'memry' is no key here" in line and "Did you mean 'memory'" in line for line in world.log(run))


def orphan(name: str, labels: dict[str, str], annotations: dict[str, str], image: str) -> k8s.V1Pod:
    container = k8s.V1Container(
        name="step",
        image=image,
        command=["python", "-c", "import time; time.sleep(600)"],
        security_context=security.CONTAINER,
    )
    spec = k8s.V1PodSpec(
        restart_policy="Never",
        containers=[container],
        termination_grace_period_seconds=0,
        security_context=security.pod_security(),
    )
    return k8s.V1Pod(metadata=k8s.V1ObjectMeta(name=name, labels=labels, annotations=annotations), spec=spec)


def test_the_reaper_deletes_planted_orphans_and_nothing_else(world: World, image: str) -> None:
    ended = world.start("done")
    world.ended(ended, "success")
    alive = world.start("long")
    living = world.pod(alive, "Running").metadata
    ours = {MANAGED_BY: MANAGER, "ml-platform.org/step": "score", "ml-platform.org/project": "flights"}
    planted = {
        "of-a-task-that-ended-1": dict(living.annotations) | {"ml-platform.org/run-id": ended.run},
        "of-a-run-nobody-knows-1": dict(living.annotations) | {"ml-platform.org/run-id": "nobody"},
        "of-an-unknown-task-1": {},
        f"{living.labels[TASK]}-0": dict(living.annotations),
    }
    for name, told in planted.items():
        labels = ours | {TASK: name.rpartition("-")[0]}
        world.core.create_namespaced_pod(world.namespace, orphan(name, labels, told, image))
    for name, labels in (("a-strangers", {"app": "x"}), ("a-model-servers", {MANAGED_BY: MANAGER})):
        world.core.create_namespaced_pod(world.namespace, orphan(name, labels, {}, image))
    world.api.unpause("platform_maintenance")
    run = world.api.trigger("platform_maintenance", f"test__{secrets.token_hex(4)}", {})
    wait_until(lambda: world.api.run(run.dag, run.run).state == "success", "the reaper")
    world.api.pause("platform_maintenance")

    def left() -> set[str]:
        return {pod.metadata.name for pod in world.core.list_namespaced_pod(world.namespace).items}

    wait_until(lambda: not planted.keys() & left(), "the orphans to go", GONE_SECONDS)
    assert {living.name, "a-strangers", "a-model-servers"} <= left()
    assert world.task(alive).state in {"deferred", "running", "queued", "scheduled"}
    world.mark(alive)
    wait_until(lambda: gone(world, alive), "the pod to go", GONE_SECONDS)


def test_no_secret_is_anywhere_that_airflow_or_a_step_writes(world: World) -> None:
    """Last: it reads what all the others left."""
    run = world.start("rejected")
    assert world.ended(run, "failed").try_number == 1
    assert any("Column dep_time is missing." in line for line in world.log(run))
    places = {path: path.read_bytes() for path in world.logs.parent.rglob("*") if path.is_file()}
    assert any(path.name == "airflow.db" for path in places)
    assert any(b"Column dep_time is missing." in data for data in places.values()), "the logs are looked at"
    stored = world.everything_stored()
    assert stored
    events = world.core.list_namespaced_event(world.namespace).items
    pods = world.core.list_namespaced_pod(world.namespace, label_selector=SELECTOR).items
    secret = setting("CLUSTER_S3_SECRET_KEY")
    for canary in (CANARY, secret):
        assert not [path for path, data in places.items() if canary.encode() in data]
        assert not [key for key, data in stored.items() if canary.encode() in data]
        assert canary not in str(events)
        assert canary not in str(pods)
