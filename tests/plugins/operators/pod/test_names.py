import re

import pytest

from plugins.operators.pod.names import SELECTOR, SPEC, TASK, attempt_number, is_same_attempt
from tests.support.worlds.pod_world import pod_task


def test_the_name_follows_from_the_attempt_alone() -> None:
    assert pod_task().pod == pod_task().pod
    assert re.fullmatch(r"flights-train-[0-9a-f]{12}-1", pod_task().pod)
    assert pod_task(try_number=2).pod == f"{pod_task().stem}-2"


@pytest.mark.parametrize("other", [{"dag_id": "d"}, {"run_id": "r"}, {"task_id": "t"}, {"map_index": 3}])
def test_another_task_has_another_name(other: dict[str, object]) -> None:
    assert pod_task(**other).stem != pod_task().stem


def test_names_that_run_together_are_different() -> None:
    assert pod_task(dag_id="ab", run_id="c").stem != pod_task(dag_id="a", run_id="bc").stem


def test_a_long_project_with_underscores_gives_a_valid_host_name() -> None:
    name = pod_task(project="a_very_long_project_name_that_goes_on_and_on", try_number=12).pod
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert len(name) <= 63


def test_labels_select_and_annotations_are_exact() -> None:
    task = pod_task(run_id="scheduled__2013-09-01T04:00:00+00:00", map_index=2)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,63}", value) for value in task.labels().values())
    assert task.labels()[TASK] == task.stem
    assert f"app.kubernetes.io/managed-by=ml-platform,{TASK}" == SELECTOR
    assert task.annotations() == {
        "ml-platform.org/dag-id": "flights_training",
        "ml-platform.org/run-id": "scheduled__2013-09-01T04:00:00+00:00",
        "ml-platform.org/task-id": "train",
        "ml-platform.org/map-index": "2",
        "ml-platform.org/try-number": "1",
        "ml-platform.org/subject": "2013-09",
        "ml-platform.org/task-instance": "id-1",
    }


@pytest.mark.parametrize(("name", "number"), [("flights-train-0-3", 3), ("flights-train-0-12", 12), ("shell", 0)])
def test_the_attempts_number_is_read_from_a_name(name: str, number: int) -> None:
    assert attempt_number(name) == number


def test_only_a_pod_of_the_same_attempt_and_spec_is_the_same() -> None:
    wanted = pod_task().annotations() | {SPEC: "sha256:1"}
    assert is_same_attempt(wanted, dict(wanted))
    assert not is_same_attempt(wanted, None)
    assert not is_same_attempt(wanted, wanted | {SPEC: "sha256:2"})
    assert not is_same_attempt(wanted, pod_task(task_instance="id-2").annotations() | {SPEC: "sha256:1"})
