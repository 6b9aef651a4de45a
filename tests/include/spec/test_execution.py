import pytest

from include.errors import ConfigurationError
from tests.support.spec_kit import parsed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schedule.runs_at_once", 0, r"runs_at_once: is 0"),
        ("serving.replicas_at_least", 4, r"replicas_at_least is 4, more than replicas_at_most \(3\)"),
        ("serving.memory", "1GB", r"memory: is '1GB'"),
        ("serving.request_bytes_at_most", 10, r"request_bytes_at_most: is 10"),
    ],
)
def test_what_makes_no_sense_is_refused(path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parsed({path: value})


def test_served_model_needs_no_more_than_its_drain() -> None:
    spec = parsed({"serving": {"drain": "5s"}}).serving
    assert (spec.replicas_at_least, spec.replicas_at_most, spec.cpu, spec.memory) == (1, 3, 0.5, "1Gi")
