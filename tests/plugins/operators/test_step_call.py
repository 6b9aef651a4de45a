from types import SimpleNamespace

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException

from include.contract.step_names import StepName
from include.errors import ConfigurationError, TemporaryError
from plugins.operators.step_call import StepCall, annotate_asset_events, as_airflow_failure
from tests.support.worlds.pod_world import context


def test_the_command_is_that_of_the_attempt() -> None:
    call = StepCall(
        step="ingest", project="flights", partition="2013-03", source="weather", options={"a": "b", "c": ""}
    )
    command = call.command(context(try_number=2), "sha256:1")
    assert (command.step, command.run, command.attempt, command.code) == (StepName.INGEST, "manual__1", 2, "sha256:1")
    assert command.options == (("source", "weather"), ("a", "b"))
    assert command.subject == "2013-03/weather"


def test_permanent_errors_become_airflow_failures_and_others_pass() -> None:
    with pytest.raises(AirflowFailException, match="wrong"), as_airflow_failure():
        raise ConfigurationError("wrong")
    with pytest.raises(TemporaryError, match="later"), as_airflow_failure():
        raise TemporaryError("later")


def test_asset_events_carry_partition_and_receipt() -> None:
    asset = Asset(name="a", uri="ml://a/b")
    event = SimpleNamespace(extra={})
    annotate_asset_events([asset, "no asset"], context(outlet_events={asset: event}), "2013-03", {"receipt": "k"})
    assert event.extra == {"partition": "2013-03", "receipt": "k"}


def test_asset_events_carry_the_receipts_of_a_call_of_several_parts() -> None:
    asset = Asset(name="a", uri="ml://a/b")
    event = SimpleNamespace(extra={})
    annotate_asset_events(
        [asset], context(outlet_events={asset: event}), "2013-03", {"receipts": {"2013-03/weather": "k"}}
    )
    assert event.extra == {"partition": "2013-03", "receipts": {"2013-03/weather": "k"}}
