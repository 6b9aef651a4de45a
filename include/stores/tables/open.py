"""The tables at an address."""

import os
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from include.errors import ConfigurationError
from include.stores.retry import RETRY_SECONDS
from include.stores.tables.delta import DeltaTables
from include.stores.tables.protocol import TableStore

_S3_OPTIONS = {
    # Commits are conditional puts (If-None-Match); stated, so that no variable of the environment turns them off.
    "aws_conditional_put": "etag",
    "connect_timeout": "5s",
    "timeout": "30s",
    # Time is the limit, not the number: object_store otherwise gives up after ten attempts.
    "max_retries": "1000",
    "retry_timeout": f"{RETRY_SECONDS:.0f}s",
    "backoff_config.init_backoff": "200ms",
    "backoff_config.max_backoff": "5s",
}


def open_tables(uri: str, environment: Mapping[str, str] | None = None) -> TableStore:
    """
    Open a store of tables.

    :param uri: ``file:///folder``, created when it is first written to, or ``s3://bucket/prefix``.
    :param environment: where the endpoint is found; the process's own if not given. Credentials and region are read by
        the S3 client itself, from the usual ``AWS_…`` variables.
    :raises ConfigurationError: if the URI is neither.
    """
    parts = urlsplit(uri)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return DeltaTables(unquote(parts.path).rstrip("/"))
    if parts.scheme == "s3" and parts.netloc:
        endpoint = (os.environ if environment is None else environment).get("AWS_ENDPOINT_URL", "")
        options = dict(_S3_OPTIONS) | ({"aws_endpoint_url": endpoint} if endpoint else {})
        # object_store refuses plain HTTP by default; MinIO inside a cluster often has no TLS.
        if endpoint.startswith("http://"):
            options["allow_http"] = "true"
        return DeltaTables(uri.rstrip("/"), options)
    message = f"'{uri}' is no location for tables; write file:///folder or s3://bucket/prefix."
    raise ConfigurationError(message)
