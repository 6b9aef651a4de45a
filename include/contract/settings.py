"""Names of an installation's environment variables; ``include.stores.installation`` reads them."""

from collections.abc import Mapping

from include.errors import ConfigurationError

TABLES_URI = "ML_TABLES_URI"
"""Where tables lie: ``file:///…`` or ``s3://bucket/prefix``."""
OBJECTS_URI = "ML_OBJECTS_URI"
"""Where receipts, ledgers, reports and bundles lie: ``file:///…`` or ``s3://bucket/prefix``."""
TRACKING_URI = "MLFLOW_TRACKING_URI"
"""The MLflow server."""
SERVING_URI = "ML_SERVING_URI"
"""The model server's control: ``unix:///path`` of the local supervisor's socket."""
STATSD = "ML_STATSD"
"""``host:port`` of a StatsD daemon; metrics are dropped where it is not set."""
FORK_SERVER = "ML_FORK_SERVER"
"""Path of the fork server's socket; steps start as ordinary processes where it is not set."""
EXECUTION = "ML_EXECUTION"
"""``local`` (the default) or ``kubernetes``."""
ERROR_PATH = "ML_ERROR_PATH"
"""File to which a failing step writes its one-line error; in a pod the termination message."""
DEADLINE_SECONDS = "ML_DEADLINE_SECONDS"
"""A step that works for longer than this ends itself; there is no such limit where it is not set."""
DIE_WITH_PARENT = "ML_DIE_WITH_PARENT"
"""``1`` where a step must end when the process that started it does (Linux)."""
THREADS = "ML_THREADS"
"""How many threads OpenMP, BLAS and the like may start in one step; the number of its CPUs if it is not set."""

ANY_CODE = "ML_ANY_CODE"
"""``1``: a step runs with whatever code its image holds, and need not be the code of the bundle."""
STEP_IMAGE = "ML_STEP_IMAGE"
"""The image of the steps' pods, by digest: ``registry/ml-platform/step@sha256:…``."""
POD_NAMESPACE = "ML_POD_NAMESPACE"
"""The namespace of the steps' pods; ``ml-steps`` where it is not set."""
POD_CONNECTIONS = "ML_POD_CONNECTIONS"
"""Which of s3, mlflow and registry have a Secret for the steps' pods; ``s3,mlflow`` where it is not set."""
SERVING_IMAGE = "ML_SERVING_IMAGE"
"""The image of model servers on Kubernetes, by digest."""
ARTIFACT_REGISTRY = "ML_ARTIFACT_REGISTRY"
"""
The artifact registry (OCI) and a path in it, for images and models: ``registry.example.org/team``; ``http://`` before
it for no TLS.
"""
ARTIFACT_REGISTRY_USERNAME = "ML_ARTIFACT_REGISTRY_USERNAME"
"""The user under whose name models are pushed to the artifact registry; a secret, like the password."""
ARTIFACT_REGISTRY_PASSWORD = "ML_ARTIFACT_REGISTRY_PASSWORD"  # noqa: S105 (a name, not a password)
"""That user's password."""

LOCAL_DEFAULTS = {
    TABLES_URI: "file://{state}/data/tables",
    OBJECTS_URI: "file://{state}/data/objects",
}
"""What the two data settings are under one state folder on one machine."""

RENAMED = {
    "ML_REGISTRY": ARTIFACT_REGISTRY,
    "ML_REGISTRY_USERNAME": ARTIFACT_REGISTRY_USERNAME,
    "ML_REGISTRY_PASSWORD": ARTIFACT_REGISTRY_PASSWORD,
}
"""Names that these settings had before, and have now."""


def refuse_renamed(environment: Mapping[str, str]) -> None:
    """
    Refuse an environment that still uses a former name: the setting would be ignored in silence.

    :raises ConfigurationError: naming the new one.
    """
    for old, new in RENAMED.items():
        if environment.get(old):
            raise ConfigurationError(f"Environment variable {old} has another name now: set {new} instead of it.")
