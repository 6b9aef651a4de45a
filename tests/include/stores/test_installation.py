import re
from pathlib import Path

import pytest

from include.contract import settings
from include.errors import ConfigurationError
from include.stores.artifacts.oci import OciArtifacts
from include.stores.installation import Stores
from include.stores.metrics.memory import NoMetrics
from include.stores.metrics.statsd import StatsdMetrics
from include.stores.objects.directory import DirectoryObjects
from include.stores.tables.delta import DeltaTables
from local_platform.locations import REPOSITORY


def test_each_store_is_the_one_that_its_variable_names(tmp_path: Path) -> None:
    stores = Stores(
        {
            settings.TABLES_URI: (tmp_path / "tables").as_uri(),
            settings.OBJECTS_URI: (tmp_path / "objects").as_uri(),
            settings.STATSD: "127.0.0.1:8125",
        }
    )
    assert isinstance(stores.tables, DeltaTables)
    assert isinstance(stores.objects, DirectoryObjects)
    assert isinstance(stores.metrics, StatsdMetrics)
    assert stores.tables is stores.tables
    assert list(tmp_path.iterdir()) == []


def test_artifacts_are_pushed_only_where_a_registry_is_named() -> None:
    assert Stores({}).artifacts is None
    assert Stores({settings.ARTIFACT_REGISTRY: ""}).artifacts is None
    result = Stores({settings.ARTIFACT_REGISTRY: "http://10.0.0.1:5000/ml"}).artifacts
    assert isinstance(result, OciArtifacts)
    assert result.registry.is_plain


def test_without_a_statsd_metrics_are_dropped() -> None:
    assert isinstance(Stores({}).metrics, NoMetrics)


@pytest.mark.parametrize(
    ("store", "name"),
    [
        ("tables", settings.TABLES_URI),
        ("objects", settings.OBJECTS_URI),
        ("registry", settings.TRACKING_URI),
        ("serving", settings.SERVING_URI),
    ],
)
def test_a_variable_that_is_not_set_is_reported_by_its_name(store: str, name: str) -> None:
    for environment in ({}, {name: ""}):
        with pytest.raises(ConfigurationError, match=f"Environment variable {name} is not set"):
            getattr(Stores(environment), store)


def test_the_page_that_the_message_names_has_the_values() -> None:
    with pytest.raises(ConfigurationError, match=r"docs/\S+\.md has the values") as caught:
        Stores({}).setting(settings.SERVING_URI)
    (page,) = re.findall(r"docs/\S+\.md", str(caught.value))
    text = (REPOSITORY / page).read_text()
    names = (settings.TABLES_URI, settings.OBJECTS_URI, settings.TRACKING_URI, settings.SERVING_URI)
    assert [name for name in names if f"{name}=" not in text] == []


def test_a_connection_is_found_by_its_name() -> None:
    stores = Stores({"ML_CONNECTION_WAREHOUSE": "postgresql://u:canary@h/db"})
    assert stores.connection_url("warehouse") == "postgresql://u:canary@h/db"
    assert "canary" not in repr(stores)
    with pytest.raises(ConfigurationError, match="ML_CONNECTION_OTHER is not set"):
        stores.connection_url("other")


def test_the_environment_is_that_of_the_process_unless_another_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.TABLES_URI, "file:///somewhere")
    assert Stores().setting(settings.TABLES_URI) == "file:///somewhere"


def test_a_setting_by_its_former_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ML_REGISTRY has another name now: set ML_ARTIFACT_REGISTRY"):
        Stores({"ML_REGISTRY": "registry.example.org/team"})
