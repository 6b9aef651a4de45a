"""What a promotion is made of; that it goes well, fails and is killed is shown by the deploy step's tests."""

from datetime import timedelta

import pytest

from include.governance.promotion import placement, serving_settings
from include.governance.versions import SealedVersion
from include.spec.execution import ServingSpec
from include.stores.serving.settings import Placement


@pytest.mark.parametrize("artifact", [None, "registry/a@sha256:1"])
def test_version_gets_what_the_spec_states(artifact: str | None) -> None:
    spec = ServingSpec(
        request_bytes_at_most=2_000,
        batch_rows_at_most=8,
        drain=timedelta(seconds=4),
        replicas_at_least=2,
        replicas_at_most=6,
        cpu=1.5,
        memory="2Gi",
    )
    version = SealedVersion(
        model="m", version=3, run_id="r", project="p", digest="d", partition="2013-09", artifact=artifact
    )
    settings = serving_settings(spec)
    assert (settings.request_bytes_at_most, settings.batch_rows_at_most, settings.drain_seconds) == (2_000, 8, 4.0)
    assert placement(spec, version) == Placement(
        artifact=artifact, replicas_at_least=2, replicas_at_most=6, cpu=1.5, memory="2Gi"
    )
