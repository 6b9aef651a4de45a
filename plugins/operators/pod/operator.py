"""A step as a pod: execution mode ``kubernetes``."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
from plugins.operators.pod.api import POLL_SECONDS, NoRoomError, PodApi, UnreachableError
from plugins.operators.pod.attempt import Attempt, Progress, attempt_of
from plugins.operators.pod.spec import CONTAINER, pod_of
from plugins.operators.pod.verdict import StoreUnreachableError, never_starts, verdict, waited_too_long
from plugins.operators.pod.watching import PodState, follow_log, state_of
from plugins.operators.step_call import StepCall, judged_by_airflow, tell_assets
from plugins.operators.step_log import StepLog

WATCH_SECONDS = 20.0
"""How long a task watches its pod itself before it goes to sleep: most steps are done by then, and end sooner so."""
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
    Runs one step as a pod; its receipt decides how the task ends.

    The task creates the pod, watches it for a moment and then sleeps in the triggerer; it wakes now and then to hand
    on what the step wrote, and when the pod ends. Of the provider's operator it takes connection, client and
    ``on_kill``; what the provider decides by a pod's phase, labels or XCom sidecar is decided here by the receipt.

    :param step: word of the step.
    :param project: folder under ``include/projects``.
    :param partition: the data interval, like ``2013-03``. (templated)
    :param source: for ``ingest``: the only source that it reads.
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
            durable=False,  # it would hand a retry the pod of the attempt before
            get_logs=False,
            log_events_on_failure=False,
            log_pod_spec_on_failure=False,
            on_finish_action="keep_pod",  # whether a pod goes follows from the receipt, not from its phase
            **kwargs,
        )
        self.step = step
        self.project = project
        self.partition = partition
        self.source = source
        self.options = dict(options or {})

    def execute(self, context: Context) -> Reference:
        """Create the pod, watch it, sleep while it works, and end as its receipt says."""
        with judged_by_airflow():
            return self._launch(context, self._attempt(context))

    def look_again(
        self, context: Context, event: Mapping[str, Any] | Any = None, progress: dict[str, Any] | None = None
    ) -> Reference:
        """
        Go on after a sleep.

        :param event: what the trigger says; only whether it failed counts, the pod itself tells the rest.
        """
        with judged_by_airflow():
            attempt = self._attempt(context, progress)
            if not attempt.progress.pod:
                return self._launch(context, attempt)
            has_failed = isinstance(event, Mapping) and event.get("status") == "error"
            return self._follow(context, attempt, watch_seconds=0.0, is_trigger_well=not has_failed)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on even if the trigger failed: the pod works on without it."""
        if next_method == TRIGGER_FAIL_REPR:
            why = (next_kwargs or {}).get("error", "unknown")
            self.log.warning("The trigger that watched the pod failed (%s); its log comes from the beginning.", why)
            next_method, next_kwargs = self.look_again.__name__, {}
        return super().resume_execution(next_method, next_kwargs, context)

    def _attempt(self, context: Context, kept: dict[str, Any] | None = None) -> Attempt:
        """The attempt that the task is at, with the progress that was kept while it slept."""
        call = StepCall(
            step=self.step, project=self.project, partition=self.partition, source=self.source, options=self.options
        )
        progress = Progress.from_json(kept) if kept else Progress(since=time.time())
        attempt = attempt_of(call, context, dict(os.environ), progress)
        self.pod = attempt.stub()  # what the provider's on_kill deletes
        return attempt

    def _pods(self, attempt: Attempt) -> PodApi:
        return PodApi(self.client, attempt.namespace)

    def _launch(self, context: Context, attempt: Attempt) -> Reference:
        """Make room for the attempt's pod, create it, and go on with it."""
        pods, pod = self._pods(attempt), pod_of(attempt)
        try:
            for older in pods.delete_older_attempts(pod):
                self.log.warning("Deleted pod %s, which still worked for an earlier try.", older)
            pods.launch(pod)
        except (NoRoomError, UnreachableError) as error:
            limit = attempt.capacity_wait if isinstance(error, NoRoomError) else AWAY_AT_MOST
            if time.time() - attempt.progress.since > limit.total_seconds():
                raise waited_too_long(attempt.command, attempt.name, str(error), limit) from error
            self._say_once(attempt, f"Waiting to create the pod: {error}")
            self._sleep(attempt, is_watched=False)
        words = " ".join(attempt.command.arguments())
        self.log.info("Started pod %s/%s: %s", attempt.namespace, attempt.name, words)
        attempt.progress = Progress(since=attempt.progress.since, pod=attempt.name)
        return self._follow(context, attempt, watch_seconds=WATCH_SECONDS)

    def _follow(
        self, context: Context, attempt: Attempt, *, watch_seconds: float, is_trigger_well: bool = True
    ) -> Reference:
        """Watch the pod until it ends, or until it is time to sleep."""
        pods, output, until = self._pods(attempt), StepLog(self.log), time.monotonic() + watch_seconds
        try:
            _ = attempt.documents  # opened while the pod starts
            while True:
                state = state_of(pods.read(attempt.name))
                # Between the two: a pod that on_kill deleted is no pod that is gone.
                self._check_killed(attempt)
                follow_log(pods, attempt, state, output, now=time.time())
                if state.has_ended:
                    break
                self._check_wait(pods, attempt, state)
                if time.monotonic() >= until or state.is_without_room:
                    self._sleep(attempt, is_watched=is_trigger_well)
                time.sleep(POLL_SECONDS)
        except UnreachableError as error:
            self._sleep_while_away(attempt, error)
        except Exception:  # the task ends before its pod does
            pods.delete(attempt.stub())
            raise
        return self._conclude(context, attempt, state)

    def _check_wait(self, pods: PodApi, attempt: Attempt, state: PodState) -> None:
        """Look what the pod waits for, if it does."""
        if not state.is_waiting:
            return
        limit = attempt.capacity_wait
        if state.is_unrecoverable:
            raise never_starts(attempt.command, attempt.name, state, pods.warnings(attempt.name))
        if time.time() - attempt.progress.since > limit.total_seconds():
            raise waited_too_long(attempt.command, attempt.name, state.what, limit)
        if state.is_without_room:
            self._say_once(attempt, f"Waiting for room: {state.what}")

    def _conclude(self, context: Context, attempt: Attempt, state: PodState) -> Reference:
        """The verdict on a pod that ended; a pod that failed stays for people, until the reaper comes."""
        self.log.info("Pod %s ended: %s", attempt.name, state.what)
        try:
            reference = verdict(attempt, state)
        except StoreUnreachableError as error:
            self._sleep_while_away(attempt, error)
        except AirflowSkipException:
            self._delete(attempt)
            raise
        self._delete(attempt)
        tell_assets(self.outlets, context, attempt.command.partition, reference)
        return reference

    def _delete(self, attempt: Attempt) -> None:
        """Delete a pod that did what it should."""
        with suppress(UnreachableError):  # the reaper deletes it then
            self._pods(attempt).delete(attempt.stub())

    def _check_killed(self, attempt: Attempt) -> None:
        if self._killed:
            ObjectStoreHook().call_off(attempt.command)  # the pod's node may be out of reach
            raise TemporaryError("The task was told to end, and its pod was deleted.")

    def _say_once(self, attempt: Attempt, reason: str) -> None:
        """Say why the task waits, once for each reason."""
        if reason != attempt.progress.reported:
            self.log.info("%s", reason)
        attempt.progress.reported = reason

    def _sleep_while_away(self, attempt: Attempt, error: TemporaryError) -> NoReturn:
        """Sleep because something does not answer; give up after a while."""
        self._check_killed(attempt)
        since = attempt.progress.away_since = attempt.progress.away_since or time.time()
        if time.time() - since > AWAY_AT_MOST.total_seconds():
            raise error
        self._say_once(attempt, str(error))
        self._sleep(attempt, is_watched=False)

    def _sleep(self, attempt: Attempt, *, is_watched: bool) -> NoReturn:
        """
        Let the triggerer wake this task later.

        :param is_watched: whether the pod's end is to wake it as well.
        """
        progress = attempt.progress
        progress.looks += 1
        seconds = progress.sleep_seconds()
        trigger: KubernetesPodTrigger | TimeDeltaTrigger = TimeDeltaTrigger(timedelta(seconds=seconds))
        if is_watched:
            trigger = self._pod_trigger(attempt, seconds)
        self.defer(trigger=trigger, method_name=self.look_again.__name__, kwargs={"progress": progress.to_json()})

    def _pod_trigger(self, attempt: Attempt, seconds: float) -> KubernetesPodTrigger:
        """The provider's own trigger: the triggerer loads none from a DAG bundle."""
        return KubernetesPodTrigger(
            pod_name=attempt.progress.pod,
            pod_namespace=attempt.namespace,
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
