from datetime import timedelta

import pytest

from include.errors import ConfigurationError
from include.spec.resources import ResourceSpec, doubled, kibibytes
from tests.support.spec_kit import parsed


def test_a_step_has_the_default_with_its_own_values_over_it() -> None:
    execution = parsed().execution
    train, ingest = execution.for_step("train"), execution.for_step("ingest")
    assert (train.cpu, train.timeout, train.memory, train.retries) == (2, timedelta(hours=1), "1Gi", 2)
    assert ingest == execution.default
    assert ingest.retry_delay == timedelta(seconds=30)


def test_what_a_step_may_request_of_a_cluster() -> None:
    requested = {
        "gpu": 1, "gpu_resource": "amd.com/gpu", "node_selector": {"disk": "fast"}, "priority_class": "high",
        "tolerations": [{"key": "gpu", "effect": "NoSchedule"}], "ephemeral_storage": "8Gi", "capacity_wait": "2h",
        "memory_at_most": "4Gi",
    }  # fmt: skip
    spec = parsed({f"execution.steps.train.{name}": value for name, value in requested.items()})
    train = spec.execution.for_step("train")
    assert (train.gpu, train.gpu_resource, train.node_selector) == (1, "amd.com/gpu", {"disk": "fast"})
    assert train.tolerations is not None
    assert (train.tolerations[0].key, train.tolerations[0].value) == ("gpu", None)
    assert (train.capacity_wait, train.memory_at_most) == (timedelta(hours=2), "4Gi")
    assert train.retries == 2


def test_a_project_needs_none_of_it() -> None:
    ingest = parsed().execution.for_step("ingest")
    assert (ingest.gpu, ingest.memory_at_most, ingest.capacity_wait, ingest.tolerations) == (None, None, None, None)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("execution.default.memory", "1GB", r"memory: is '1GB'"),
        ("execution.default.memory", "0Gi", r"memory: is '0Gi'"),
        ("execution.default.cpu", 0, r"cpu: is 0"),
        ("execution.steps.train.retries", 11, r"retries: is 11"),
        ("execution.steps.train.timeout", "1 hour", r"timeout: '1 hour' is no duration"),
        ("execution.steps.train.gpu", -1, r"gpu: is -1"),
        ("execution.steps.train.gpu_resource", "gpu", r"gpu_resource: is 'gpu'"),
        ("execution.steps.train.tolerations", [{"key": "a", "effect": "Never"}], r"effect: is 'Never'"),
        ("execution.steps.train.tolerations", [{"kei": "a"}], r"Did you mean 'key'"),
        (
            "execution.default.memory_at_most",
            "512Mi",
            r"default: memory is 1Gi, which is more than memory_at_most 512Mi",
        ),
        ("execution.steps.train.memory_at_most", "512Mi", r"steps.train: memory is 1Gi, which is more than"),
        ("execution.default.timeout", None, r"execution.default leaves out timeout"),
    ],
)
def test_what_makes_no_sense_is_refused(path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parsed({path: value})


@pytest.mark.parametrize(("cpu", "threads"), [(None, 1), (0.25, 1), (1, 1), (2.5, 2), (8, 8)])
def test_native_threads_are_as_many_as_whole_cpus(cpu: float | None, threads: int) -> None:
    assert ResourceSpec(cpu=cpu).threads == threads


def test_sizes_compare_across_units() -> None:
    assert kibibytes("1Gi") == kibibytes("1024Mi") == kibibytes("1048576Ki")
    assert doubled("768Mi") == "1536Mi"
