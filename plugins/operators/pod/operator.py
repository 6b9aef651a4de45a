"""A step as a pod: execution mode ``kubernetes``."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NoReturn

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import Context
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR
from airflow.sdk.exceptions import AirflowSkipException

from include.errors import TemporaryError
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.outcome import Reference
from plugins.operators.pod.api import POLL_SECONDS, PodApi
from plugins.operators.pod.attempt import PodCall, pod_call
from plugins.operators.pod.errors import NoRoomError, UnreachableError
from plugins.operators.pod.failure import hopeless, waited_too_long
from plugins.operators.pod.log import hand_on
from plugins.operators.pod.progress import Progress
from plugins.operators.pod.spec import CONTAINER
from plugins.operators.pod.verdict import StoreAwayError, verdict
from plugins.operators.pod.watching import PodState, Stage, state_of
from plugins.operators.step_call import StepCall, judged_by_airflow, tell_assets
from plugins.operators.step_log import StepLog

PATIENCE_SECONDS = 20.0
"""How long a task watches its pod itself before it goes to sleep: most steps are done by then, and end sooner so."""
LOG_SECONDS = 1.0
"""How often it asks for the log meanwhile."""
TRIGGER_POLL_SECONDS = 2.0
"""
How often the trigger looks at the pod, and so how soon at the earliest it wakes the task. Airflow 3.3 takes a task for
lost that wakes before the scheduler has read that it fell asleep, and that costs a try: workers tell the scheduler at
once (``plugins/airflow_patches/supervising.py``), and it reads what they tell several times a second.
"""
AWAY_AT_MOST = timedelta(minutes=15)
"""How long the API server or the object store may be away before the task gives up."""
NEVER = 10_000_000
"""Seconds for time limits of the provider's trigger that are ours to keep, not its."""


class PodStepOperator(KubernetesPodOperator):
    """
    Runs one step as a pod, and judges it by its receipt.

    The task creates the pod, watches it for a moment and then sleeps in the triggerer; it wakes now and then to hand
    on what the step wrote, and when the pod ends. Of the provider's operator it takes connection, client and
    ``on_kill``; what the provider decides by a pod's phase, labels or XCom sidecar is decided here by the receipt.

    :param step: word of the step.
    :param project: folder under ``include/projects``.
    :param partition: the data interval, like ``2013-03``. (templated)
    :param source: for ``ingest``: the source.
    :param options: further options of the step, by name. (templated)
    """

    template_fields: Sequence[str] = ("partition", "options")
    template_fields_renderers: ClassVar[dict[str, str]] = {}
    ui_color = "#e8f1fa"

    def __init__(
        self,
        *,
        step: str,
        project: str,
        partition: str,
        source: str | None = None,
        options: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            deferrable=True,
            do_xcom_push=True,  # of what execute returns; the sidecar that the provider adds for it is never built
            durable=False,
            get_logs=False,
            log_events_on_failure=False,
            log_pod_spec_on_failure=False,
            on_finish_action="keep_pod",
            **kwargs,
        )
        self.step = step
        self.project = project
        self.partition = partition
        self.source = source
        self.options = dict(options or {})

    def execute(self, context: Context) -> Reference:
        """Create the pod, watch it, sleep while it works, judge it by its receipt."""
        with judged_by_airflow():
            return self._launch(context, Progress(since=time.time()))

    def look_again(
        self, context: Context, event: Mapping[str, Any] | Any = None, progress: dict[str, Any] | None = None
    ) -> Reference:
        """
        Go on after a sleep.

        :param event: what the trigger says; only whether it failed counts, the pod itself tells the rest.
        """
        with judged_by_airflow():
            known = Progress.from_json(progress) if progress else Progress(since=time.time())
            if not known.pod:
                return self._launch(context, known)
            has_failed = isinstance(event, Mapping) and event.get("status") == "error"
            return self._follow(context, self._call(context), known, patience=0.0, is_trigger_well=not has_failed)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on even if the trigger failed: the pod works on without it."""
        if next_method == TRIGGER_FAIL_REPR:
            why = (next_kwargs or {}).get("error", "unknown")
            self.log.warning("The trigger that watched the pod failed (%s); its log comes from the beginning.", why)
            next_method, next_kwargs = self.look_again.__name__, {}
        return super().resume_execution(next_method, next_kwargs, context)

    def _call(self, context: Context) -> PodCall:
        call = StepCall(
            step=self.step, project=self.project, partition=self.partition, source=self.source, options=self.options
        )
        found = pod_call(call, context, dict(os.environ))
        self.pod = found.stub()  # what on_kill deletes
        return found

    def _api(self, call: PodCall) -> PodApi:
        return PodApi(self.client, call.namespace)

    def _launch(self, context: Context, progress: Progress) -> Reference:
        call = self._call(context)
        api = self._api(call)
        pod = call.pod()
        try:
            for older in api.delete_older_tries(pod):
                self.log.warning("Deleted pod %s, which still worked for an earlier try.", older)
            api.launch(pod)
        except (NoRoomError, UnreachableError) as error:
            limit = call.capacity_wait if isinstance(error, NoRoomError) else AWAY_AT_MOST
            if time.time() - progress.since > limit.total_seconds():
                raise waited_too_long(call.command, call.name, str(error), limit) from error
            self._sleep(self._said(progress, f"Waiting to create the pod: {error}").looked())
        self.log.info("Started pod %s/%s: %s", call.namespace, call.name, " ".join(call.command.arguments()))
        progress = Progress(since=progress.since, pod=call.name)
        return self._follow(context, call, progress, patience=PATIENCE_SECONDS)

    def _follow(
        self, context: Context, call: PodCall, progress: Progress, *, patience: float, is_trigger_well: bool = True
    ) -> Reference:
        """Watch the pod until it ends, or until it is time to sleep."""
        api, output, until = self._api(call), StepLog(self.log), time.monotonic() + patience
        try:
            call.open_documents()  # while the pod starts
            while True:
                state = state_of(api.read(call.name))
                self._check_killed(call)
                progress = self._logged(api, call, progress, state, output)
                if state.has_ended:
                    break
                progress = self._waited(api, call, progress, state)
                if time.monotonic() >= until or state.is_without_room:
                    self._sleep(progress.looked(), call.namespace if is_trigger_well else None)
                time.sleep(POLL_SECONDS)
        except UnreachableError as error:
            self._sleep_while_away(call, progress, error)
        except Exception:  # the task ends before its pod does
            api.delete(call.stub())
            raise
        return self._judge(context, call, progress, state)

    def _logged(self, api: PodApi, call: PodCall, progress: Progress, state: PodState, output: StepLog) -> Progress:
        """Hand on what the step wrote, if it is time to."""
        if state.stage is Stage.WAITING:
            return progress
        asked, now = progress.cursor.asked_at or 0.0, time.time()
        if not state.has_ended and now - asked < LOG_SECONDS:
            return progress
        cursor = hand_on(api, call.name, progress.cursor, output, now=now, is_final=state.has_ended)
        looks = progress.looks if progress.has_started else 0
        return replace(progress, cursor=cursor, has_started=True, looks=looks, away_since=None)

    def _waited(self, api: PodApi, call: PodCall, progress: Progress, state: PodState) -> Progress:
        """Look what the pod waits for; nothing if it works."""
        if state.stage is not Stage.WAITING:
            return progress
        limit = call.capacity_wait
        if state.is_hopeless:
            raise hopeless(call.command, call.name, state, api.warnings(call.name))
        if time.time() - progress.since > limit.total_seconds():
            raise waited_too_long(call.command, call.name, state.what, limit)
        return self._said(progress, f"Waiting for room: {state.what}") if state.is_without_room else progress

    def _judge(self, context: Context, call: PodCall, progress: Progress, state: PodState) -> Reference:
        self.log.info("Pod %s ended: %s", call.name, state.what)
        try:
            reference = verdict(call, state)
        except StoreAwayError as error:
            self._sleep_while_away(call, progress, error)
        except AirflowSkipException:
            self._tidy(call)
            raise
        self._tidy(call)
        tell_assets(self.outlets, context, call.command.partition, reference)
        return reference

    def _tidy(self, call: PodCall) -> None:
        """Delete a pod that did what it should; one that failed stays for people, until the reaper comes."""
        with suppress(UnreachableError):  # the reaper deletes it then
            self._api(call).delete(call.stub())

    def _check_killed(self, call: PodCall) -> None:
        if self._killed:
            ObjectStoreHook().call_off(call.command)  # the pod's node may be out of reach
            raise TemporaryError("The task was told to end, and its pod was deleted.")

    def _said(self, progress: Progress, reason: str) -> Progress:
        """Say why the task waits, once for each reason."""
        if reason != progress.told:
            self.log.info("%s", reason)
        return replace(progress, told=reason)

    def _sleep_while_away(self, call: PodCall, progress: Progress, error: TemporaryError) -> NoReturn:
        """Sleep because something does not answer; give up after a while."""
        self._check_killed(call)
        since = progress.away_since or time.time()
        if time.time() - since > AWAY_AT_MOST.total_seconds():
            raise error
        self._sleep(self._said(replace(progress, away_since=since), str(error)).looked())

    def _sleep(self, progress: Progress, namespace: str | None = None) -> NoReturn:
        """
        Let the triggerer wake this task later.

        :param namespace: of the pod, whose end is to wake it as well.
        """
        seconds = progress.sleep_seconds()
        trigger: KubernetesPodTrigger | TimeDeltaTrigger = TimeDeltaTrigger(timedelta(seconds=seconds))
        if namespace is not None:
            trigger = KubernetesPodTrigger(
                pod_name=progress.pod,
                pod_namespace=namespace,
                trigger_start_time=datetime.now(UTC),
                base_container_name=CONTAINER,
                kubernetes_conn_id=self.kubernetes_conn_id,
                poll_interval=TRIGGER_POLL_SECONDS,
                startup_check_interval=TRIGGER_POLL_SECONDS,
                startup_timeout=NEVER,
                schedule_timeout=NEVER,
                get_logs=False,
                log_events_on_startup=False,
                # The trigger wakes the task at this time: to read the log, not to fail.
                trigger_kwargs={"_execution_deadline": int(time.time() + seconds)},
            )
        self.defer(trigger=trigger, method_name=self.look_again.__name__, kwargs={"progress": progress.to_json()})
