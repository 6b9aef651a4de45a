"""What MLflow and its HTTP library raise, as errors of the tree."""

from collections.abc import Iterator
from contextlib import contextmanager

from include.errors import ConfigurationError, DataRejectedError, PermanentError, PlatformError, TemporaryError, foreign

GONE = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
TAKEN = "RESOURCE_ALREADY_EXISTS"
_REFUSED = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"})
_CALLERS_FAULT = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", TAKEN})
# A proxy with a login responds 401 or 403 without MLflow's error codes.
_FORBIDDEN, _UNKNOWN, _FIRST_CLIENT_ERROR, _FIRST_SERVER_ERROR, _BUSY = (401, 403), (404, 410), 400, 500, 429


@contextmanager
def mapped(server: str, what: str) -> Iterator[None]:
    """
    Turn what MLflow raises into errors of the tree.

    :param server: its address, for messages.
    :param what: what was being done, as the end of "MLflow could not …".
    """
    try:
        yield
    except PlatformError:
        raise
    # MLflow's client raises whatever its HTTP, database and file libraries do; _foreign_error keeps bugs as they are.
    except Exception as error:
        translation = _foreign_error(error, f"MLflow at {server} could not {what}")
        if translation is None:
            raise
        raise translation from error


def _foreign_error(error: Exception, failed: str) -> PlatformError | None:
    """What one of MLflow's, its HTTP library's or the system's errors becomes; None for a bug."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    if isinstance(error, MlflowException):
        return translated(_cause(error), error.error_code, failed)
    if isinstance(error, RequestException):
        return by_status(error.response.status_code if error.response is not None else None, error, failed)
    # Uploads read files and sockets outside requests: their errors come as they are.
    if isinstance(error, OSError | EOFError):
        return TemporaryError(f"{failed}: {foreign(error)}")
    return None


def _cause(error: Exception) -> Exception:
    """What the last attempt of a request met: MLflow's own text names the address three times before it."""
    from urllib3.exceptions import MaxRetryError

    met = error.__cause__ or error.__context__
    last = met.args[0] if met is not None and met.args else None
    return last.reason if isinstance(last, MaxRetryError) and last.reason else error


def translated(error: Exception | str, code: str, failed: str) -> PlatformError:
    """The error of the tree for one of MLflow's codes; whatever is not known to be permanent may pass."""
    text = f"{failed}: {foreign(error)}"
    if code in GONE:
        return DataRejectedError(f"{text} It is gone or was never there.")
    if code in _REFUSED:
        return ConfigurationError(f"{text} Check the user and password that MLflow is given.")
    if code in _CALLERS_FAULT:
        return PermanentError(text)
    return TemporaryError(text)


def by_status(status: int | None, error: Exception | str, failed: str) -> PlatformError:
    """The error of the tree for a response's status; None where there was no response."""
    text = f"{failed}: {foreign(error)}"
    if status is None or status >= _FIRST_SERVER_ERROR or status == _BUSY:
        return TemporaryError(text)
    if status in _FORBIDDEN:
        return ConfigurationError(f"{text} Check the user and password that MLflow is given.")
    if status in _UNKNOWN:
        return DataRejectedError(f"{text} It is gone or was never there.")
    return PermanentError(text) if status >= _FIRST_CLIENT_ERROR else TemporaryError(text)
