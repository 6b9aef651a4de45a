"""What MLflow and its HTTP library raise, as errors of the tree."""

from collections.abc import Iterator
from contextlib import contextmanager

from include.errors import ConfigurationError, DataRejectedError, PermanentError, PlatformError, TemporaryError, foreign

GONE = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
TAKEN = "RESOURCE_ALREADY_EXISTS"
_REFUSED = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})
_CALLERS_FAULT = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", TAKEN})
_FORBIDDEN, _UNKNOWN, _FIRST_CLIENT_ERROR, _FIRST_SERVER_ERROR, _BUSY = (401, 403), (404, 410), 400, 500, 429


@contextmanager
def mapped(server: str, what: str) -> Iterator[None]:
    """
    Turn what MLflow raises into errors of the tree.

    :param server: its address, for messages.
    :param what: what was being done, as the end of "MLflow could not …".
    """
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield
    except MlflowException as error:
        raise translated(error, error.error_code, f"MLflow at {server} could not {what}") from error
    except RequestException as error:
        status = error.response.status_code if error.response is not None else None
        raise _by_status(status, error, f"MLflow at {server} could not {what}") from error
    except (OSError, EOFError) as error:
        raise TemporaryError(f"MLflow at {server} could not {what}: {foreign(error)}") from error


def translated(error: Exception, code: str, failed: str) -> PlatformError:
    """The error of the tree for one of MLflow's codes; whatever is not known to be permanent may pass."""
    text = f"{failed}: {foreign(error)}"
    if code in GONE:
        return DataRejectedError(f"{text} It is gone or was never there.")
    if code in _REFUSED:
        return ConfigurationError(f"{text} Check the user and password that MLflow is given.")
    if code in _CALLERS_FAULT:
        return PermanentError(text)
    return TemporaryError(text)


def _by_status(status: int | None, error: Exception, failed: str) -> PlatformError:
    text = f"{failed}: {foreign(error)}"
    if status is None or status >= _FIRST_SERVER_ERROR or status == _BUSY:
        return TemporaryError(text)
    if status in _FORBIDDEN:
        return ConfigurationError(f"{text} Check the user and password that MLflow is given.")
    if status in _UNKNOWN:
        return DataRejectedError(f"{text} It is gone or was never there.")
    return PermanentError(text) if status >= _FIRST_CLIENT_ERROR else TemporaryError(text)
