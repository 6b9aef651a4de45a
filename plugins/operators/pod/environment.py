"""
The environment of a step's pod: settings by an allow-list, secrets by reference only.

A secret's value is never in Airflow's hands: the pod names the Kubernetes Secret and the key, and the kubelet reads it.
"""

from collections.abc import Iterator, Mapping

from kubernetes.client import models as k8s

from include.contract import settings
from include.contract.step_names import StepName
from include.errors import ConfigurationError, listed, near
from include.spec.project import ProjectSpec
from include.spec.sources import SourceFormat
from plugins.hooks.environment import FIXED, THREAD_VARIABLES

HANDED_ON = (
    settings.TABLES_URI, settings.OBJECTS_URI, settings.TRACKING_URI, settings.SERVING_URI, settings.STATSD,
    settings.ARTIFACT_REGISTRY, "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_EC2_METADATA_DISABLED",
    "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY",
)  # fmt: skip
"""Settings that a worker hands on; none of them holds a secret."""
NEEDED = (settings.TABLES_URI, settings.OBJECTS_URI)
"""Settings without which no step can work."""
ERROR_PATH = "/dev/termination-log"

CONNECTIONS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "mlflow": ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
    "registry": ("ML_ARTIFACT_REGISTRY_USERNAME", "ML_ARTIFACT_REGISTRY_PASSWORD"),
}
"""Keys of the Secret of each connection of the platform: ``ml-connection-s3`` and so on."""
CONNECTIONS_BY_DEFAULT = "s3,mlflow"
WITH_MLFLOW = frozenset({StepName.TRAIN, StepName.EVALUATE, StepName.PACKAGE, StepName.DEPLOY, StepName.SCORE})
WITH_REGISTRY = frozenset({StepName.PACKAGE, StepName.DEPLOY})


def pod_environment(
    spec: ProjectSpec, step: StepName, source: str | None, *, threads: int, given: Mapping[str, str]
) -> list[k8s.V1EnvVar]:
    """
    The whole environment of one step's container, in order of names.

    :param source: for ``ingest``: the source.
    :param threads: cap for the step's native threads.
    :param given: the worker's environment.
    :raises ConfigurationError: if it lacks what every step needs, names an unknown connection, or holds a setting by
        its former name.
    """
    settings.refuse_renamed(given)
    missing = [name for name in NEEDED if not given.get(name)]
    if missing:
        message = f"Environment variable {listed(missing)} of Airflow's worker is not set; each step's pod needs it."
        raise ConfigurationError(message)
    plain = {name: given[name] for name in HANDED_ON if given.get(name)}
    if step is StepName.DEPLOY and given.get(settings.SERVING_IMAGE):
        plain[settings.SERVING_IMAGE] = given[settings.SERVING_IMAGE]
    plain |= dict.fromkeys(THREAD_VARIABLES, str(threads)) | FIXED | {settings.ERROR_PATH: ERROR_PATH}
    found = [k8s.V1EnvVar(name=name, value=value) for name, value in plain.items()]
    found += [_reference(*names) for names in _secrets(spec, step, source, given)]
    return sorted(found, key=lambda variable: variable.name)


def _secrets(
    spec: ProjectSpec, step: StepName, source: str | None, given: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """(connection, key) of each secret that the step may read."""
    there = _connections(given)
    for connection, keys in CONNECTIONS.items():
        if connection in there and _is_for(connection, step):
            yield from ((connection, key) for key in keys)
    read = spec.sources.get(source or "") if step is StepName.INGEST else None
    if read is not None and read.format is SourceFormat.SQL:
        yield read.location, f"ML_CONNECTION_{read.location.upper()}"


def _connections(given: Mapping[str, str]) -> set[str]:
    told = given.get(settings.POD_CONNECTIONS) or CONNECTIONS_BY_DEFAULT
    names = {name.strip() for name in told.split(",") if name.strip()}
    for name in sorted(names - CONNECTIONS.keys()):
        message = f"Environment variable {settings.POD_CONNECTIONS} names '{name}', which is no connection; known: "
        raise ConfigurationError(f"{message}{listed(CONNECTIONS)}.{near(name, CONNECTIONS)}")
    return names


def _is_for(connection: str, step: StepName) -> bool:
    return {"s3": True, "mlflow": step in WITH_MLFLOW, "registry": step in WITH_REGISTRY}[connection]


def _reference(connection: str, key: str) -> k8s.V1EnvVar:
    name = f"ml-connection-{connection.lower().replace('_', '-')}"
    source = k8s.V1EnvVarSource(secret_key_ref=k8s.V1SecretKeySelector(name=name, key=key, optional=False))
    return k8s.V1EnvVar(name=key, value_from=source)
