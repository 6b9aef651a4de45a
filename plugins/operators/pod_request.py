"""What is asked of Kubernetes for one try of one step: a pod that passes the Pod Security Standard ``restricted``."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubernetes.client import models as k8s

from include.contract import settings
from include.contract.command import StepCommand
from plugins.hooks.environment import THREAD_VARIABLES
from plugins.operators.pod_settings import SECRETS, PodSettings

CONTAINER = "base"
"""Of the step; the pod has no other."""
SERVICE_ACCOUNT = "ml-step"
USER = 65532
ERROR_PATH = "/dev/termination-log"
"""What a step writes here is its container's termination message."""
SCRATCH = "/tmp"  # noqa: S108 (inside the container, where nobody else is)
SCRATCH_SIZE = "4Gi"
MANAGED_BY = {"app.kubernetes.io/managed-by": "ml-platform"}
TRY_LABEL = "ml-platform/try"
"""Airflow's id of the try: another run of the same name is another try."""
REQUEST_ANNOTATION = "ml-platform/request"
"""Digest of image, arguments and environment: a pod of the same name that was asked for something else is not ours."""
NAME_LIMIT = 63


@dataclass(frozen=True)
class TaskTry:
    """One try of one task instance."""

    dag: str
    run: str
    task: str
    map_index: int
    attempt: int
    id: str
    """Airflow's own, never given twice."""

    def pod_name(self) -> str:
        """The same for the same try, so that the API server refuses a twin; readable, and at most 63 characters."""
        parts = [self.dag, self.run, self.task, self.map_index, self.attempt]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
        words = re.sub(r"[^a-z0-9]+", "-", f"{self.dag}-{self.task}-{self.attempt}".lower()).strip("-")
        return f"{words[: NAME_LIMIT - len(digest) - 1].strip('-')}-{digest}"


def labels(command: StepCommand, task_try: TaskTry) -> dict[str, str]:
    """By which people, quotas and policies find a step's pod."""
    return {
        **MANAGED_BY,
        "app.kubernetes.io/component": "step",
        "ml-platform/project": command.project,
        "ml-platform/step": command.step.value,
        TRY_LABEL: task_try.id,
    }


def environment(
    given: PodSettings, threads: int, extra_secrets: Mapping[str, Sequence[str]] | None = None
) -> list[k8s.V1EnvVar]:
    """
    The step's environment: open values as they are, secrets by reference only.

    :param extra_secrets: further Kubernetes Secrets and their keys.
    """
    values = {
        **given.environment,
        settings.ERROR_PATH: ERROR_PATH,
        "MPLBACKEND": "Agg",
        "PYTHONUNBUFFERED": "1",
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
    }
    plain = [k8s.V1EnvVar(name=name, value=value) for name, value in sorted(values.items())]
    return plain + [
        k8s.V1EnvVar(
            name=key,
            # Without the Secret a cloud's own identity serves; the step says so if that is missing, too.
            value_from=k8s.V1EnvVarSource(
                secret_key_ref=k8s.V1SecretKeySelector(name=secret, key=key, optional=secret in SECRETS)
            ),
        )
        for secret, keys in {**SECRETS, **(extra_secrets or {})}.items()
        for key in keys
    ]


def resources(cpu: float, memory: str) -> k8s.V1ResourceRequirements:
    """What the step asks for; memory is a limit as well, CPU is not: a step may use what lies idle."""
    asked = {"cpu": f"{round(cpu * 1000)}m", "memory": memory, "ephemeral-storage": "256Mi"}
    return k8s.V1ResourceRequirements(requests=asked, limits={"memory": memory, "ephemeral-storage": SCRATCH_SIZE})


def pod_security() -> k8s.V1PodSecurityContext:
    """Of the pod: a user without rights."""
    return k8s.V1PodSecurityContext(
        run_as_non_root=True,
        run_as_user=USER,
        run_as_group=USER,
        seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
    )


def container_security() -> k8s.V1SecurityContext:
    """Of the container: no way to more rights, and nothing of it can be changed."""
    return k8s.V1SecurityContext(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        capabilities=k8s.V1Capabilities(drop=["ALL"]),
    )


def scratch() -> tuple[k8s.V1Volume, k8s.V1VolumeMount]:
    """Room for temporary files."""
    room = k8s.V1EmptyDirVolumeSource(size_limit=SCRATCH_SIZE)
    return k8s.V1Volume(name="scratch", empty_dir=room), k8s.V1VolumeMount(name="scratch", mount_path=SCRATCH)


def request_digest(image: str, arguments: Sequence[str], variables: Sequence[k8s.V1EnvVar]) -> str:
    """Names what is asked for."""
    parts = [image, list(arguments), [variable.to_dict() for variable in variables]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
