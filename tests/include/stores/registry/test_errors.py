"""Which error of the tree a foreign one becomes."""

import pytest
import requests
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2

from include.errors import ConfigurationError, DataRejectedError, PermanentError, PlatformError, TemporaryError
from include.stores.registry.errors import mapped

LONG = "x" * 1000


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("RESOURCE_DOES_NOT_EXIST", DataRejectedError),
        ("NOT_FOUND", DataRejectedError),
        ("PERMISSION_DENIED", ConfigurationError),
        ("UNAUTHENTICATED", ConfigurationError),
        ("INVALID_PARAMETER_VALUE", PermanentError),
        ("RESOURCE_ALREADY_EXISTS", PermanentError),
        ("INTERNAL_ERROR", TemporaryError),
        ("TEMPORARILY_UNAVAILABLE", TemporaryError),
        ("REQUEST_LIMIT_EXCEEDED", TemporaryError),
        ("DEADLINE_EXCEEDED", TemporaryError),
    ],
)
def test_mlflow_s_codes(code: str, error: type[PlatformError]) -> None:
    with pytest.raises(PlatformError, match=r"MLflow at http://here could not do it: x+…") as raised, _doing():
        raise MlflowException(LONG, error_code=databricks_pb2.ErrorCode.Value(code))
    assert type(raised.value) is error


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, ConfigurationError),
        (403, ConfigurationError),
        (404, DataRejectedError),
        (400, PermanentError),
        (429, TemporaryError),
        (500, TemporaryError),
        (503, TemporaryError),
        (None, TemporaryError),
    ],
)
def test_responses_of_http(status: int | None, error: type[PlatformError]) -> None:
    response = None
    if status is not None:
        response = requests.Response()
        response.status_code = status
    with pytest.raises(PlatformError, match="could not do it") as raised, _doing():
        raise requests.HTTPError("no", response=response)
    assert type(raised.value) is error


def test_what_no_library_raises_passes_through() -> None:
    with pytest.raises(KeyError, match="bug"), _doing():
        raise KeyError("bug")
    with pytest.raises(TemporaryError, match="could not do it: reset"), _doing():
        raise ConnectionResetError("reset")


def _doing():  # type: ignore[no-untyped-def]  # noqa: ANN202 (a context manager)
    return mapped("http://here", "do it")
