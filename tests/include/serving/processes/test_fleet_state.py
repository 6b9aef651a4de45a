from pathlib import Path

import pytest

from include.errors import ConfigurationError
from include.serving.processes.fleet_state import FleetState, KeptModel, read_state, write_state
from include.stores.serving.control import ModelRecord
from include.stores.serving.settings import ServingSettings

KEPT = KeptModel(
    record=ModelRecord(project="p", model="m", version=1, digest="d"), settings=ServingSettings(), folder="000001-a"
)


def test_state_comes_back(tmp_path: Path) -> None:
    state = FleetState(active=KEPT, previous=None)
    write_state(tmp_path / "serving.json", state)
    write_state(tmp_path / "serving.json", state)
    assert read_state(tmp_path / "serving.json") == state
    assert [path.name for path in tmp_path.iterdir()] == ["serving.json"]


def test_state_that_was_never_written_is_empty(tmp_path: Path) -> None:
    assert read_state(tmp_path / "serving.json") == FleetState()


@pytest.mark.parametrize("content", ["", "{", '{"more": 1}'])
def test_damaged_state_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "serving.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"serving\.json cannot be read.*deploy again"):
        read_state(tmp_path / "serving.json")
