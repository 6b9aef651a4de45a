"""Everything that the pod of one try follows from: command, spec, the run's parameters, the worker's settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from airflow.sdk import Context
from kubernetes.client import models as k8s

from include.contract import settings
from include.contract.code_digest import code_digest
from include.contract.command import StepCommand
from include.contract.step_names import StepName
from include.errors import ConfigurationError
from include.spec.load import load_project
from include.spec.project import ProjectSpec
from include.spec.resources import ResourceSpec
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.pod.environment import pod_environment
from plugins.operators.pod.memory import Memories, memory_of_try
from plugins.operators.pod.names import PodTask
from plugins.operators.pod.spec import step_pod
from plugins.operators.step_call import StepCall
from plugins.operators.step_resources import resources_of

NAMESPACE = "ml-steps"
CAPACITY_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class PodCall:
    """One try of a step, ready to be a pod."""

    command: StepCommand
    task: PodTask
    spec: ProjectSpec
    source: str | None
    asked: ResourceSpec
    """What the spec and the trigger form say."""
    given: Mapping[str, str]
    """The worker's environment."""

    @property
    def name(self) -> str:
        """The pod's name."""
        return self.task.pod

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return self.given.get(settings.POD_NAMESPACE) or NAMESPACE

    @property
    def capacity_wait(self) -> timedelta:
        """How long the pod may wait to start."""
        return self.asked.capacity_wait or CAPACITY_WAIT

    @cached_property
    def documents(self) -> Memories:
        """The object store, where receipts lie."""
        return ObjectStoreHook().get_conn()

    def open_documents(self) -> None:
        """Open the object store before it is needed: importing and connecting takes half a second."""
        _ = self.documents

    @cached_property
    def memory(self) -> str:
        """What this try gets."""
        if self.command.attempt == 1:  # no earlier try ran out of it
            return self.asked.memory or "1Gi"
        return memory_of_try(self.command, self.asked, self.documents)

    def stub(self) -> k8s.V1Pod:
        """Enough of the pod to delete it by."""
        return k8s.V1Pod(metadata=k8s.V1ObjectMeta(name=self.name, namespace=self.namespace))

    def pod(self) -> k8s.V1Pod:
        """
        The pod.

        :raises ConfigurationError: if this installation does not say what it needs.
        """
        image = self.given.get(settings.STEP_IMAGE)
        if not image:
            message = f"Environment variable {settings.STEP_IMAGE} of Airflow's worker is not set; it names the image "
            raise ConfigurationError(f"{message}of the steps' pods by digest, as 'make images' prints it.")
        environment = pod_environment(
            self.spec, self.command.step, self.source, threads=self.asked.threads, given=self.given
        )
        return step_pod(
            self.task,
            self.command.arguments(),
            environment,
            image=image,
            namespace=self.namespace,
            resources=self.asked.model_copy(update={"memory": self.memory}),
        )


def pod_call(call: StepCall, context: Context, given: Mapping[str, str]) -> PodCall:
    """
    What a task's try asks for.

    :param given: the worker's environment.
    :raises ConfigurationError: if the project, the step or the run's parameters are wrong.
    """
    spec = load_project(call.project)
    instance = context["ti"]
    step = StepName(call.step)
    command = call.command(context, "" if given.get(settings.ANY_CODE) == "1" else code_digest(step, call.project))
    task = PodTask(
        dag_id=instance.dag_id,
        run_id=context["run_id"],
        task_id=instance.task_id,
        map_index=-1 if instance.map_index is None else instance.map_index,
        try_number=instance.try_number,
        task_instance=str(instance.id),
        project=call.project,
        step=call.step,
        subject=command.subject,
    )
    asked = resources_of(spec, step, context["params"])
    return PodCall(command, task, spec, call.source, asked, given)
