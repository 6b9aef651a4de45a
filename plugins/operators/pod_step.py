"""A step as a pod: execution mode ``kubernetes``. Imported only where that mode is chosen: it costs a second."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import parse_log_line
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import Asset, Context, timezone
from airflow.sdk.exceptions import AirflowFailException
from kubernetes.client import models as k8s
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from include.contract.command import StepCommand
from include.contract.step_names import StepName
from include.errors import ConfigurationError, PermanentError, TemporaryError, foreign
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators import pod_request
from plugins.operators.outcome import Reference, conclude
from plugins.operators.pod_ending import PodPhase, PodReport, report
from plugins.operators.pod_launch import REQUEST_SECONDS, NoCapacityError, delete, end_other_tries, launch, read
from plugins.operators.pod_settings import PodSettings, connection_id, secret_of_connection
from plugins.operators.step_log import StepLog

if TYPE_CHECKING:
    from pendulum import DateTime

POLL_SECONDS = 1
LOG_SECONDS = 5
"""How often a waiting task's log gets the pod's new lines."""
LOOK_SECONDS = 20
"""How often a pod that does not start is asked why."""
CAPACITY_SECONDS = 1_800
"""How long a pod may wait for room in the cluster; the time that the step itself may take comes on top."""
BACK_OFF_SECONDS = (5, 60)
"""Between two tries to find room, or an API server that answers: at first, and at most."""
LOGGED_UNTIL = "logged_until"
ERRORS = "errors"
ERRORS_AT_MOST = 20


class PodStepOperator(KubernetesPodOperator):
    """
    Runs one step as a pod, waits for it without a worker, and judges it by its receipt.

    The pod's name follows from the try, so one try has one pod whoever starts it; pods of other tries of the same task
    instance are ended first. The pod ends by itself at the step's timeout, whatever becomes of Airflow.

    :param step: word of the step.
    :param project: folder under ``include/projects``.
    :param partition: the data interval, like ``2013-03``. (templated)
    :param source: for ``ingest``: the source.
    :param options: further options of the step, by name. (templated)
    :param threads: cap for the step's native threads.
    :param cpu: CPUs to ask for.
    :param memory: memory to ask for, and the limit.
    :param timeout: how long the step may work.
    :param connections: names of SQL connections, by source.
    """

    template_fields: Sequence[str] = ("partition", "options")
    ui_color = "#e8f1fa"

    def __init__(  # noqa: PLR0913 (an operator's settings, by keyword)
        self,
        *,
        step: str,
        project: str,
        partition: str,
        source: str | None = None,
        options: Mapping[str, str] | None = None,
        threads: int = 1,
        cpu: float = 1.0,
        memory: str = "1Gi",
        timeout: timedelta,
        connections: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        volume, mount = pod_request.scratch()
        super().__init__(
            random_name_suffix=False,
            base_container_name=pod_request.CONTAINER,
            container_resources=pod_request.resources(cpu, memory),
            security_context=pod_request.pod_security(),
            container_security_context=pod_request.container_security(),
            volumes=[volume],
            volume_mounts=[mount],
            service_account_name=pod_request.SERVICE_ACCOUNT,
            automount_service_account_token=False,
            active_deadline_seconds=int(timeout.total_seconds()),
            termination_grace_period=1,
            execution_timeout=timeout + timedelta(seconds=CAPACITY_SECONDS),
            deferrable=True,
            durable=False,
            do_xcom_push=False,
            log_pod_spec_on_failure=False,
            log_events_on_startup=False,
            poll_interval=POLL_SECONDS,
            logging_interval=LOG_SECONDS,
            startup_check_interval_seconds=POLL_SECONDS,
            startup_timeout_seconds=LOOK_SECONDS,
            schedule_timeout_seconds=LOOK_SECONDS,
            on_finish_action="delete_pod",
            on_kill_action="delete_pod",
            **kwargs,
        )
        self.step = step
        self.project = project
        self.partition = partition
        self.source = source
        self.options = dict(options or {})
        self.threads = threads
        self.connections = dict(connections or {})

    def execute(self, context: Context) -> None:
        """Create the pod and wait for it in the triggerer."""
        command = self._command(context)
        try:
            request = self._request(context, command)
            for name in end_other_tries(self.client, request):
                self.log.warning("Pod %s of another try was still there, and is ended.", name)
            launch(self.client, request)
        except NoCapacityError as error:
            self._wait(context, str(error), self.execute_again.__name__)
        except PermanentError as error:
            raise AirflowFailException(str(error)) from error
        self.log.info("Pod %s/%s runs %s", self.namespace, self.name, self.image)
        self.log.info("with the arguments %s", " ".join(command.arguments()))
        # As it was asked for, without a status: a pod that has ended already is judged like any other.
        self.pod = request
        self.invoke_defer_method(context=context)

    def execute_again(self, context: Context, event: Any = None) -> None:  # noqa: ARG002 (a trigger's event says nothing)
        """Try once more to find room in the cluster."""
        self.execute(context)

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> None:
        """Look at the pod: wait on, or judge the step by its receipt and remove the pod."""
        command = self._command(context)
        self.kubernetes_conn_id = connection_id()
        try:
            self.pod = read(self.client, event["name"], event["namespace"])
        except TemporaryError as error:
            self._wait(context, str(error), self.look_again.__name__, event)
        found = report(self.pod)
        if found.phase in {PodPhase.WORKING, PodPhase.WAITING}:
            self._wait_on(context, event, found)
        output = StepLog(self.log)
        try:
            self._log_rest(event, output)
            reference = self._judge(command, found, output.last_error)
        except PermanentError as error:
            raise AirflowFailException(str(error)) from error
        finally:
            self._remove()
        self._publish(context, command, reference)

    def look_again(self, context: Context, event: Any, kept: dict[str, Any]) -> None:  # noqa: ARG002 (as above)
        """
        Look at the pod once more.

        :param kept: the event of the trigger that watched the pod.
        """
        self.trigger_reentry(context, kept)

    def convert_config_file_to_dict(self) -> None:
        """Only the connection says how to reach the cluster, whatever KUBECONFIG says."""
        self._config_dict = None

    def _command(self, context: Context) -> StepCommand:
        given = {"source": self.source, **self.options}
        return StepCommand(
            step=StepName(self.step),
            project=self.project,
            partition=self.partition,
            run=context["run_id"],
            attempt=context["ti"].try_number,
            options=tuple((name, value) for name, value in given.items() if value),
        )

    def _request(self, context: Context, command: StepCommand) -> k8s.V1Pod:
        given, ti = PodSettings.from_environment(), context["ti"]
        task_try = pod_request.TaskTry(
            dag=ti.dag_id,
            run=context["run_id"],
            task=ti.task_id,
            map_index=-1 if ti.map_index is None else ti.map_index,
            attempt=ti.try_number,
            id=str(ti.id),
        )
        connection = self.connections.get(self.source or "")
        secrets = dict([secret_of_connection(connection)]) if connection else {}
        self.kubernetes_conn_id = connection_id()
        self.name, self.namespace, self.image = task_try.pod_name(), given.namespace, given.image
        self.arguments = command.arguments()
        self.env_vars = pod_request.environment(given, self.threads, {name: (key,) for name, key in secrets.items()})
        self.labels = pod_request.labels(command, task_try)
        digest = pod_request.request_digest(self.image, self.arguments, self.env_vars)
        self.annotations = {pod_request.REQUEST_ANNOTATION: digest}
        return self.build_pod_request_obj(context)

    def _wait_on(self, context: Context, event: Mapping[str, Any], found: PodReport) -> None:
        """
        Defer again: the trigger came back to have a look, or because the API server did not answer it.

        :raises TemporaryError: if the step had its time.
        """
        waited = _seconds_since(context["ti"].start_date)
        has_failed_often = event["status"] == "error" and event.get(ERRORS, 0) >= ERRORS_AT_MOST
        is_starved = found.phase is PodPhase.WAITING and waited > CAPACITY_SECONDS
        is_overdue = self.execution_timeout is not None and waited > self.execution_timeout.total_seconds()
        if has_failed_often or is_starved or is_overdue:
            self._remove()
            why = found.reason or foreign(str(event.get("message", "")))
            raise TemporaryError(f"The pod has not ended after {waited:.0f} s, and is ended now. {why}")
        if found.phase is PodPhase.WAITING:
            self.log.warning("Waiting since %.0f s: %s", waited, found.reason)
        errors = event.get(ERRORS, 0) + (event["status"] == "error")
        until = event.get("last_log_time") or event.get(LOGGED_UNTIL)
        self.trigger_kwargs = {ERRORS: errors, LOGGED_UNTIL: until}
        self.invoke_defer_method(last_log_time=_moment(until), context=context)

    def _wait(self, context: Context, why: str, then: str, event: Mapping[str, Any] | None = None) -> None:
        """
        Come back later, without a worker in the meantime.

        :raises TemporaryError: if that has been going on for too long.
        """
        waited = _seconds_since(context["ti"].start_date)
        if waited > CAPACITY_SECONDS:
            raise TemporaryError(f"{why} That has been so for {waited:.0f} s.")
        seconds = min(max(BACK_OFF_SECONDS[0], waited / 4), BACK_OFF_SECONDS[1])
        self.log.warning("%s Trying again in %.0f s.", why, seconds)
        kept = {} if event is None else {"kept": dict(event)}
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=seconds)), method_name=then, kwargs=kept)

    def _log_rest(self, event: Mapping[str, Any], output: StepLog) -> None:
        """Log the lines that the triggerer has not logged: it left out those of the second in which it looked last."""
        if self.pod is None:
            return
        since = _moment(event.get("last_log_time") or event.get(LOGGED_UNTIL))
        seconds = int(_seconds_since(since)) + 2 if since else None
        try:
            lines = self.client.read_namespaced_pod_log(
                self.pod.metadata.name,
                self.pod.metadata.namespace,
                container=pod_request.CONTAINER,
                timestamps=True,
                since_seconds=seconds,
                _preload_content=False,
                _request_timeout=REQUEST_SECONDS,
            )
            for line in lines:
                moment, text = parse_log_line(line.decode("utf-8", errors="replace").rstrip("\n"))
                if since is None or moment is None or moment.replace(microsecond=0) >= since.replace(microsecond=0):
                    output.take(text.encode() + b"\n")
        except (ApiException, HTTPError) as error:
            self.log.warning("The end of the pod's log could not be read: %s", foreign(str(error)))

    def _judge(self, command: StepCommand, found: PodReport, said: str) -> Reference:
        if found.phase is PodPhase.MISCONFIGURED:
            raise ConfigurationError(found.reason)
        return conclude(command, found.exit_code, ObjectStoreHook().get_conn(), found.reason or said)

    def _remove(self) -> None:
        """Delete the pod; one that stays does no harm, for it has ended or ends at its deadline."""
        if self.pod is None:
            return
        try:
            delete(self.client, self.pod.metadata.name, self.pod.metadata.namespace)
        except TemporaryError as error:
            self.log.warning("%s", error)

    def _publish(self, context: Context, command: StepCommand, reference: Reference) -> None:
        context["ti"].xcom_push("return_value", reference)
        for asset in self.outlets:
            if isinstance(asset, Asset):
                context["outlet_events"][asset].extra = {
                    "partition": command.partition,
                    "receipt": str(reference["receipt"]),
                }


def _moment(value: object) -> "DateTime | None":
    if isinstance(value, datetime):
        return timezone.coerce_datetime(value)
    return timezone.parse(value) if isinstance(value, str) else None


def _seconds_since(moment: datetime | None) -> float:
    return (timezone.utcnow() - moment).total_seconds() if moment is not None else 0.0
