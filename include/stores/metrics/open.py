"""The metrics at an address."""

import re

from include.errors import ConfigurationError
from include.stores.metrics.memory import NoMetrics
from include.stores.metrics.protocol import MetricsStore
from include.stores.metrics.statsd import StatsdMetrics

# urlsplit would read "localhost:8125" as a URL of scheme "localhost".
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
_PORT_LIMIT = 65536


def open_metrics(address: str | None) -> MetricsStore:
    """
    Open the metrics.

    :param address: ``host:port`` of a StatsD daemon; None drops everything.
    :raises ConfigurationError: if the address is none.
    """
    if not address:
        return NoMetrics()
    parts = _ADDRESS.fullmatch(address)
    if parts is None or not 0 < int(parts["port"]) < _PORT_LIMIT:
        message = f"'{address}' is no address of a StatsD daemon; write host:port, like 127.0.0.1:8125."
        raise ConfigurationError(message)
    return StatsdMetrics(host=parts["host"].strip("[]"), port=int(parts["port"]))
