from pathlib import Path

import pytest

from include.errors import DataRejectedError
from include.governance.versions import (
    CHAMPION,
    champion,
    identifying_tags,
    sealed_version,
    version_of_bundle,
    version_tags,
)
from include.stores.registry.memory import MemoryRegistry
from include.stores.registry.protocol import ModelVersion

TAGS = version_tags("flights", "sha256:0", "2013-09", "bundles/flights/x/evidence.json")


def test_version_states_what_it_is_made_of() -> None:
    result = sealed_version(ModelVersion(name="delay", version=3, run_id="r", tags=TAGS))
    assert (result.model, result.version, result.run_id, result.project) == ("delay", 3, "r", "flights")
    assert (result.digest, result.partition) == ("sha256:0", "2013-09")


def test_version_is_identified_by_its_bundle() -> None:
    assert identifying_tags("flights", "sha256:0").items() <= TAGS.items()


@pytest.mark.parametrize("name", ["platform.sealed", "platform.project", "platform.bundle", "platform.partition"])
def test_version_that_lacks_a_tag_is_not_sealed(name: str) -> None:
    tags = {tag: value for tag, value in TAGS.items() if tag != name}
    with pytest.raises(DataRejectedError, match=f"Version 3 of model 'delay' is not sealed: it has no tag {name}"):
        sealed_version(ModelVersion(name="delay", version=3, run_id="r", tags=tags))


def registered(tmp_path: Path) -> MemoryRegistry:
    """A registry with version 1 of model ``delay``."""
    registry = MemoryRegistry()
    run_id = registry.start_run("flights", "x", {})
    registry.log_model(run_id, tmp_path)
    registry.register("delay", run_id, "file:///bundle", TAGS)
    return registry


def test_version_by_its_number_is_of_the_bundle_that_was_written_down(tmp_path: Path) -> None:
    registry = registered(tmp_path)
    assert version_of_bundle(registry, "delay", 1, "sha256:0", advice="-").version == 1
    with pytest.raises(DataRejectedError, match=r"'delay' is of bundle sha256:0, not sha256:1: .* changed\. Do this\."):
        version_of_bundle(registry, "delay", 1, "sha256:1", advice="Do this.")
    with pytest.raises(DataRejectedError, match=r"Version 7 .* is not in the registry any more\. Do this\."):
        version_of_bundle(registry, "delay", 7, "sha256:0", advice="Do this.")


def test_champion_is_the_version_that_the_alias_names(tmp_path: Path) -> None:
    registry = registered(tmp_path)
    assert champion(registry, "delay") is None
    registry.move_alias("delay", CHAMPION, expected=None, to=1)
    result = champion(registry, "delay")
    assert result is not None
    assert result.version == 1
