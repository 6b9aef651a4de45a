import pytest

from include.contract import settings
from include.errors import ConfigurationError


def test_every_setting_has_a_name_of_its_own() -> None:
    names = [value for name, value in vars(settings).items() if name.isupper() and isinstance(value, str)]
    assert len(names) == len(set(names))
    assert all(name.startswith(("ML_", "MLFLOW_")) for name in names)


def test_the_local_defaults_are_places_of_data_below_one_folder() -> None:
    found = {name: value.format(state="/srv/state") for name, value in settings.LOCAL_DEFAULTS.items()}
    assert found == {
        settings.TABLES_URI: "file:///srv/state/data/tables",
        settings.OBJECTS_URI: "file:///srv/state/data/objects",
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ML_REGISTRY", "ML_ARTIFACT_REGISTRY"),
        ("ML_REGISTRY_USERNAME", "ML_ARTIFACT_REGISTRY_USERNAME"),
        ("ML_REGISTRY_PASSWORD", "ML_ARTIFACT_REGISTRY_PASSWORD"),
    ],
)
def test_a_former_name_is_refused_with_the_new_one(old: str, new: str) -> None:
    settings.refuse_renamed({new: "canary", old: ""})
    with pytest.raises(ConfigurationError, match=f"{old} has another name now: set {new} instead") as caught:
        settings.refuse_renamed({old: "canary"})
    assert "canary" not in str(caught.value)
