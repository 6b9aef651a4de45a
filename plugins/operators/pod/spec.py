"""
An attempt's command, resources and settings -> its pod.

The image keeps its entry point and gets arguments. The pod conforms to the Pod Security Standard ``restricted``, has no
service account token unless the step deploys, one container only, and a deadline of its own.

Its environment is an allow-list of settings, and secrets by reference only: the pod names the Kubernetes Secret and the
key, and the kubelet reads the value. Airflow never has it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

from include.contract import settings
from include.contract.digest import digest_of
from include.contract.step_names import StepName
from include.errors import ConfigurationError, listed, near
from include.spec.project import ProjectSpec
from include.spec.resources import ResourceSpec
from include.spec.sources import SourceFormat
from include.stores.kubernetes import security
from plugins.hooks.environment import FIXED, THREAD_VARIABLES
from plugins.operators.pod.attempt import Attempt
from plugins.operators.pod.names import SPEC, PodIdentity

CONTAINER = "step"
ACCOUNT = "ml-step"
ACCOUNT_OF_DEPLOY = "ml-deploy"
STORAGE = "2Gi"
GPU_RESOURCE = "nvidia.com/gpu"
GRACE_SECONDS = 5
"""How long a step may take to end after SIGTERM; then the kubelet kills it."""
DEADLINE_SLACK_SECONDS = 30
"""At its time limit a step ends itself and reports that; so much later the kubelet ends one that did not."""

HANDED_ON = (
    settings.TABLES_URI, settings.OBJECTS_URI, settings.TRACKING_URI, settings.SERVING_URI, settings.STATSD,
    settings.ARTIFACT_REGISTRY, "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_EC2_METADATA_DISABLED",
    "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY",
)  # fmt: skip
"""Settings that a worker passes on; none of them holds a secret."""
NEEDED = (settings.TABLES_URI, settings.OBJECTS_URI)
"""Settings without which no step can work."""
ERROR_PATH = "/dev/termination-log"
"""Where the kubelet reads a container's termination message."""

CONNECTIONS = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "mlflow": ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
    "registry": ("ML_ARTIFACT_REGISTRY_USERNAME", "ML_ARTIFACT_REGISTRY_PASSWORD"),
}
"""Keys of the Secret of each connection of the platform: ``ml-connection-s3`` and so on."""
CONNECTIONS_BY_DEFAULT = "s3,mlflow"
"""Of an installation that does not set ``ML_POD_CONNECTIONS``: one without an artifact registry."""
WITH_MLFLOW = frozenset({StepName.TRAIN, StepName.EVALUATE, StepName.PACKAGE, StepName.DEPLOY, StepName.SCORE})
WITH_REGISTRY = frozenset({StepName.PACKAGE, StepName.DEPLOY})


def pod_of(attempt: Attempt) -> k8s.V1Pod:
    """
    The pod of an attempt.

    :raises ConfigurationError: if a setting of the worker's environment is missing or wrong.
    """
    image = attempt.given.get(settings.STEP_IMAGE)
    if not image:
        message = f"Environment variable {settings.STEP_IMAGE} of Airflow's worker is not set; it names the image "
        raise ConfigurationError(f"{message}of the steps' pods by digest, as 'make images' prints it.")
    threads = attempt.resources.threads
    return step_pod(
        attempt.identity,
        attempt.command.arguments(),
        pod_environment(attempt.spec, attempt.command.step, attempt.source, threads=threads, given=attempt.given),
        image=image,
        namespace=attempt.namespace,
        resources=attempt.resources.model_copy(update={"memory": attempt.memory}),
    )


def step_pod(
    identity: PodIdentity,
    arguments: Sequence[str],
    environment: Sequence[k8s.V1EnvVar],
    *,
    image: str,
    namespace: str,
    resources: ResourceSpec,
) -> k8s.V1Pod:
    """
    The pod of one attempt of a step.

    :param resources: of this attempt; its memory is what the attempt gets, whatever the spec says.
    """
    limit = resources.timeout or timedelta(hours=1)
    variables = [*environment, k8s.V1EnvVar(name=settings.DEADLINE_SECONDS, value=str(int(limit.total_seconds())))]
    container = k8s.V1Container(
        name=CONTAINER,
        image=image,
        image_pull_policy="IfNotPresent",  # images are named by digest: one that is on the node is the right one
        args=list(arguments),
        env=variables,
        resources=_requirements(resources),
        security_context=security.CONTAINER | {"runAsNonRoot": True},
        volume_mounts=[k8s.V1VolumeMount(name="tmp", mount_path="/tmp")],  # noqa: S108 (the pod's own)
        # FallbackToLogsOnError would use the end of the log as termination message of a step that wrote none.
        termination_message_policy="File",
    )
    meta = k8s.V1ObjectMeta(
        name=identity.pod, namespace=namespace, labels=identity.labels(), annotations=identity.annotations()
    )
    spec = _spec(container, resources, is_deploy=identity.step == StepName.DEPLOY.value)
    # Kubernetes counts it from the moment at which the kubelet takes the pod, so pulling the image is included.
    spec.active_deadline_seconds = int(limit.total_seconds()) + DEADLINE_SLACK_SECONDS
    pod = k8s.V1Pod(api_version="v1", kind="Pod", metadata=meta, spec=spec)
    meta.annotations[SPEC] = spec_digest(pod)
    return pod


def spec_digest(pod: k8s.V1Pod) -> str:
    """Digest of a pod's spec as it is requested. The API server fills in defaults, so specs cannot be compared."""
    requested = ApiClient().sanitize_for_serialization(pod.spec)
    return digest_of(json.dumps(requested, sort_keys=True).encode())


def pod_environment(
    spec: ProjectSpec, step: StepName, source: str | None, *, threads: int, given: Mapping[str, str]
) -> list[k8s.V1EnvVar]:
    """
    The whole environment of one step's container, sorted by name.

    :param source: for ``ingest``: the only source that it reads.
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
    variables = [k8s.V1EnvVar(name=name, value=value) for name, value in plain.items()]
    variables += [_secret(*names) for names in _secrets(spec, step, source, given)]
    return sorted(variables, key=lambda variable: variable.name)


def _spec(container: k8s.V1Container, resources: ResourceSpec, *, is_deploy: bool) -> k8s.V1PodSpec:
    tolerations = [
        k8s.V1Toleration(
            key=one.key, value=one.value, effect=one.effect, operator="Exists" if one.value is None else "Equal"
        )
        for one in resources.tolerations or ()
    ]
    room = k8s.V1EmptyDirVolumeSource(size_limit=resources.ephemeral_storage or STORAGE)
    return k8s.V1PodSpec(
        restart_policy="Never",  # retries are Airflow's: each has its own pod and outcome
        containers=[container],
        volumes=[k8s.V1Volume(name="tmp", empty_dir=room)],
        service_account_name=ACCOUNT_OF_DEPLOY if is_deploy else ACCOUNT,
        automount_service_account_token=is_deploy,
        enable_service_links=False,  # else the kubelet adds seven variables or more for each Service of the namespace
        termination_grace_period_seconds=GRACE_SECONDS,
        node_selector=dict(resources.node_selector) if resources.node_selector else None,
        tolerations=tolerations or None,
        priority_class_name=resources.priority_class,
        security_context=security.pod_security(fs_group=security.USER),
    )


def _requirements(resources: ResourceSpec) -> k8s.V1ResourceRequirements:
    """Requests of CPU, memory, disk and GPUs; all but CPU are limits as well."""
    # No CPU limit: a pod may use what nobody else uses, the cap on threads bounds it, and throttling would stall it.
    fixed = {"memory": resources.memory or "1Gi", "ephemeral-storage": resources.ephemeral_storage or STORAGE}
    if resources.gpu:
        fixed[resources.gpu_resource or GPU_RESOURCE] = str(resources.gpu)
    return k8s.V1ResourceRequirements(requests={"cpu": f"{resources.cpu or 1:g}", **fixed}, limits=fixed)


def _secrets(
    spec: ProjectSpec, step: StepName, source: str | None, given: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """(connection, key) of each secret that the step may read."""
    there = _connections(given)
    for connection, keys in CONNECTIONS.items():
        if connection in there and _is_for(connection, step):
            yield from ((connection, key) for key in keys)
    if step is StepName.INGEST:
        yield from ((name, f"ML_CONNECTION_{name.upper()}") for name in _databases(spec, source))


def _databases(spec: ProjectSpec, source: str | None) -> list[str]:
    """Connections of the SQL sources that an ingest task reads, each once."""
    read = [spec.sources[name] for name in spec.sources_of_task(source) if name in spec.sources]
    return list(dict.fromkeys(one.location for one in read if one.format is SourceFormat.SQL))


def _connections(given: Mapping[str, str]) -> set[str]:
    """
    Connections of this installation.

    :raises ConfigurationError: if the setting names an unknown one.
    """
    # A setting, not a guess: the kubelet never starts a pod that refers to a Secret which does not exist.
    words = (given.get(settings.POD_CONNECTIONS) or CONNECTIONS_BY_DEFAULT).split(",")
    names = {word.strip() for word in words if word.strip()}
    for name in sorted(names - CONNECTIONS.keys()):
        message = f"Environment variable {settings.POD_CONNECTIONS} names '{name}', which is no connection; known: "
        raise ConfigurationError(f"{message}{listed(CONNECTIONS)}.{near(name, CONNECTIONS)}")
    return names


def _is_for(connection: str, step: StepName) -> bool:
    return {"s3": True, "mlflow": step in WITH_MLFLOW, "registry": step in WITH_REGISTRY}[connection]


def _secret(connection: str, key: str) -> k8s.V1EnvVar:
    name = f"ml-connection-{connection.lower().replace('_', '-')}"
    source = k8s.V1EnvVarSource(secret_key_ref=k8s.V1SecretKeySelector(name=name, key=key, optional=False))
    return k8s.V1EnvVar(name=key, value_from=source)
