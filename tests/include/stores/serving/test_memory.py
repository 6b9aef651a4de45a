"""What the memory store promises beyond ``test_serving``, which it passes too."""

import pytest

from include.errors import TemporaryError
from include.stores.serving.control import record_of
from include.stores.serving.memory import MemoryServing
from include.stores.serving.settings import ServingSettings
from tests.support.serving_bundles import bundle


def test_versions_that_were_started_are_kept_in_order() -> None:
    serving = MemoryServing()
    for version in (1, 2):
        serving.start(bundle(version), version, ServingSettings())
    assert serving.started == [1, 2]


def test_address_of_a_version_that_is_gone_does_not_respond() -> None:
    serving = MemoryServing()
    record = serving.start(bundle(), 1, ServingSettings())
    serving.discard(record_of(bundle(), 1))
    with pytest.raises(TemporaryError, match="no model is there"):
        serving.predict(record.url or "", bundle().golden().rows)
