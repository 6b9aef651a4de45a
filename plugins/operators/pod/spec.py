"""
A step's command and resources -> its pod.

The image keeps its entry point and gets arguments. The pod passes the Pod Security Standard ``restricted``, has no
service token unless the step deploys, one container and no other, and a deadline of its own.
"""

import json
from collections.abc import Sequence
from datetime import timedelta

from kubernetes.client import ApiClient
from kubernetes.client import models as k8s

from include.contract import settings
from include.contract.digest import digest_of
from include.contract.step_names import StepName
from include.spec.resources import ResourceSpec
from include.stores.kubernetes import security
from plugins.operators.pod.names import SPEC, PodTask

CONTAINER = "step"
ACCOUNT = "ml-step"
ACCOUNT_OF_DEPLOY = "ml-deploy"
STORAGE = "2Gi"
GPU_RESOURCE = "nvidia.com/gpu"
GRACE_SECONDS = 5
"""How long a step may take to end after SIGTERM; then it is killed."""
DEADLINE_SLACK_SECONDS = 30
"""The step ends itself at its time limit and can say so; the kubelet ends what did not."""


def step_pod(
    task: PodTask,
    arguments: Sequence[str],
    environment: Sequence[k8s.V1EnvVar],
    *,
    image: str,
    namespace: str,
    resources: ResourceSpec,
) -> k8s.V1Pod:
    """
    The pod of one try of a step.

    :param resources: of this try; its memory is what the try gets, whatever the spec says.
    """
    limit = resources.timeout or timedelta(hours=1)
    variables = [*environment, k8s.V1EnvVar(name=settings.DEADLINE_SECONDS, value=str(int(limit.total_seconds())))]
    container = k8s.V1Container(
        name=CONTAINER,
        image=image,
        image_pull_policy="IfNotPresent",
        args=list(arguments),
        env=variables,
        resources=_requirements(resources),
        security_context=security.CONTAINER | {"runAsNonRoot": True},
        volume_mounts=[k8s.V1VolumeMount(name="tmp", mount_path="/tmp")],  # noqa: S108 (the pod's own)
        termination_message_policy="File",
    )
    meta = k8s.V1ObjectMeta(name=task.pod, namespace=namespace, labels=task.labels(), annotations=task.annotations())
    spec = _spec(container, resources, is_deploy=task.step == StepName.DEPLOY.value)
    spec.active_deadline_seconds = int(limit.total_seconds()) + DEADLINE_SLACK_SECONDS
    pod = k8s.V1Pod(api_version="v1", kind="Pod", metadata=meta, spec=spec)
    meta.annotations[SPEC] = spec_digest(pod)
    return pod


def spec_digest(pod: k8s.V1Pod) -> str:
    """Digest of what a pod is asked to be."""
    asked = ApiClient().sanitize_for_serialization(pod.spec)
    return digest_of(json.dumps(asked, sort_keys=True).encode())


def _spec(container: k8s.V1Container, resources: ResourceSpec, *, is_deploy: bool) -> k8s.V1PodSpec:
    tolerations = [
        k8s.V1Toleration(
            key=one.key, value=one.value, effect=one.effect, operator="Exists" if one.value is None else "Equal"
        )
        for one in resources.tolerations or ()
    ]
    room = k8s.V1EmptyDirVolumeSource(size_limit=resources.ephemeral_storage or STORAGE)
    return k8s.V1PodSpec(
        restart_policy="Never",
        containers=[container],
        volumes=[k8s.V1Volume(name="tmp", empty_dir=room)],
        service_account_name=ACCOUNT_OF_DEPLOY if is_deploy else ACCOUNT,
        automount_service_account_token=is_deploy,
        enable_service_links=False,
        termination_grace_period_seconds=GRACE_SECONDS,
        node_selector=dict(resources.node_selector) if resources.node_selector else None,
        tolerations=tolerations or None,
        priority_class_name=resources.priority_class,
        security_context=security.pod_security(fs_group=security.USER),
    )


def _requirements(resources: ResourceSpec) -> k8s.V1ResourceRequirements:
    """Memory and disk are limits, too; CPU is not: what nobody else uses may be used, and threads are capped."""
    fixed = {"memory": resources.memory or "1Gi", "ephemeral-storage": resources.ephemeral_storage or STORAGE}
    if resources.gpu:
        fixed[resources.gpu_resource or GPU_RESOURCE] = str(resources.gpu)
    return k8s.V1ResourceRequirements(requests={"cpu": f"{resources.cpu or 1:g}", **fixed}, limits=fixed)
