import pytest

from include.errors import ConfigurationError
from include.stores.serving.control import ModelRecord
from include.stores.serving.names import BUNDLE_BY, DIGEST, ServedNames, names_of, record_in

NAMES = ServedNames("flights", "departure_delay")


def test_names_are_those_of_services() -> None:
    assert NAMES.traffic == "departure-delay"
    assert NAMES.of_version(12) == "departure-delay-v12"
    assert NAMES.url(NAMES.traffic, "models") == "http://departure-delay.models.svc:8080"


@pytest.mark.parametrize("model", ["delay_", "d" * 61])
def test_model_whose_name_no_service_can_have_is_refused(model: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Model '{model}' cannot be served on Kubernetes"):
        ServedNames("flights", model).of_version(100)


def test_deployment_states_which_version_it_is() -> None:
    labels = NAMES.selecting_version(3)
    metadata = {"name": "departure-delay-v3", "labels": labels, "annotations": {DIGEST: "d", BUNDLE_BY: "image volume"}}
    record = record_in({"metadata": metadata}, "models")
    assert record.is_same(ModelRecord(project="flights", model="departure_delay", version=3, digest="d"))
    assert (record.url, record.bundle_by) == ("http://departure-delay-v3.models.svc:8080", "image volume")
    assert names_of(record) == NAMES
