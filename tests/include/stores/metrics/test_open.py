import pytest

from include.errors import ConfigurationError
from include.stores.metrics.memory import NoMetrics
from include.stores.metrics.open import open_metrics
from include.stores.metrics.statsd import StatsdMetrics


def test_an_address_opens_statsd_and_none_drops_everything() -> None:
    assert open_metrics("[::1]:8125") == StatsdMetrics("::1", 8125)
    assert isinstance(open_metrics(None), NoMetrics)


@pytest.mark.parametrize("address", ["localhost", "127.0.0.1:0", "127.0.0.1:99999", "http://x:8125", "a b:8125"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no address of a StatsD daemon; write host:port"):
        open_metrics(address)
