from datetime import timedelta

import pytest

from include.errors import ConfigurationError
from tests.spec_kit import parsed


def test_a_step_has_the_default_with_its_own_values_over_it() -> None:
    execution = parsed().execution
    train, ingest = execution.for_step("train"), execution.for_step("ingest")
    assert (train.cpu, train.timeout, train.memory, train.retries) == (2, timedelta(hours=1), "1Gi", 2)
    assert ingest == execution.default
    assert ingest.retry_delay == timedelta(seconds=30)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("execution.default.memory", "1GB", r"memory: is '1GB'"),
        ("execution.default.cpu", 0, r"cpu: is 0"),
        ("execution.steps.train.retries", 11, r"retries: is 11"),
        ("execution.steps.train.timeout", "1 hour", r"timeout: '1 hour' is no duration"),
        ("schedule.runs_at_once", 0, r"runs_at_once: is 0"),
        ("serving.replicas_at_least", 4, r"replicas_at_least is 4, more than replicas_at_most \(3\)"),
        ("serving.memory", "1GB", r"memory: is '1GB'"),
        ("serving.request_bytes_at_most", 10, r"request_bytes_at_most: is 10"),
    ],
)
def test_what_makes_no_sense_is_refused(path: str, value: object, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parsed({path: value})


def test_served_model_needs_no_more_than_its_drain() -> None:
    spec = parsed({"serving": {"drain": "5s"}}).serving
    assert (spec.replicas_at_least, spec.replicas_at_most, spec.cpu, spec.memory) == (1, 3, 0.5, "1Gi")
