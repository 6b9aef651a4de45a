"""What can go wrong with the platform on a cluster, beyond what can go wrong on one machine."""

from local_platform.errors import LocalPlatformError


class ClusterError(LocalPlatformError):
    """The cluster, the registry, S3 or PostgreSQL is not what the commands need, or refused something."""
