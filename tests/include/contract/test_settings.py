from include.contract import settings


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
