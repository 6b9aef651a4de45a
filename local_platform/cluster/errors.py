"""The error of the cluster commands."""

from local_platform.errors import LocalPlatformError


class ClusterError(LocalPlatformError):
    """The cluster, the artifact registry, S3 or PostgreSQL lacks what the commands need, or refused a request."""
