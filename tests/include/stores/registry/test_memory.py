"""What the memory registry does beyond the promises of every registry, which test_registry.py shows."""

import gc
from pathlib import Path

import pytest

from include.errors import DataRejectedError
from include.stores.registry.memory import MemoryRegistry


def test_artifacts_go_with_the_registry(tmp_path: Path) -> None:
    registry = MemoryRegistry()
    run = registry.start_run("toy", "run", {})
    (tmp_path / "one.txt").write_text("1")
    registry.log_files(run, tmp_path, "files")
    path = registry.artifact_path(run, "files/one.txt")
    assert path.read_text() == "1"

    del registry
    gc.collect()

    assert not path.exists()


def test_two_registries_share_nothing() -> None:
    run = MemoryRegistry().start_run("toy", "run", {})

    with pytest.raises(DataRejectedError, match=f"could not read run {run}"):
        MemoryRegistry().run_url(run)
