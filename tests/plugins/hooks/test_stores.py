from pathlib import Path

import pytest

from include.errors import ConfigurationError
from plugins.hooks.stores import ObjectStoreHook


def test_the_store_that_the_environment_names_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ML_OBJECTS_URI", tmp_path.as_uri())
    store = ObjectStoreHook().get_conn()
    store.create("receipts/a.json", b"{}")
    assert (tmp_path / "receipts" / "a.json").read_bytes() == b"{}"


def test_no_store_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ML_OBJECTS_URI", raising=False)
    with pytest.raises(ConfigurationError, match="ML_OBJECTS_URI is not set"):
        ObjectStoreHook().get_conn()
