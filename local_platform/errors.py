"""Errors of the local platform itself; each message states what is wrong, where, and what to do."""


class LocalPlatformError(Exception):
    """Root of this package's errors; printed without a traceback, exit code 1."""


class PlatformStartError(LocalPlatformError):
    """A service cannot be started, or did not become healthy."""


class PlatformBusyError(LocalPlatformError):
    """Another process starts, runs or stops the services right now."""


class AirflowApiError(LocalPlatformError):
    """Airflow's REST API refused a request or did not respond."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status; 0 if there was no response."""


class JobFailedError(LocalPlatformError):
    """A part of ``make run`` failed."""
