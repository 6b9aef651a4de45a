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
from plugins.operators.step_call import StepCall, annotate_asset_events, as_airflow_failure
from plugins.operators.step_log import StepLog

WATCH_SECONDS = 20.0
"""How long a task watches its pod itself before it defers: most steps are done by then, and end without a trigger."""
TRIGGER_POLL_SECONDS = 2.0
"""
How often the trigger looks at the pod, and so how soon at the earliest it wakes the task. If a task wakes before the
scheduler has read that it was deferred, Airflow 3.3 takes it for lost, which costs an attempt. Two seconds are enough:
workers report at once (``plugins/airflow_patches/supervising.py``), and the scheduler reads several times a second.
"""
AWAY_AT_MOST = timedelta(minutes=15)
"""How long the API server or the object store may be unreachable before the task fails."""
NEVER = 10_000_000
"""Seconds: switches off time limits of the provider's trigger that this operator keeps itself."""


class PodStepOperator(KubernetesPodOperator):
    """
    Runs one step as a pod; its receipt decides how the task ends.

    The task creates the pod, watches it for 20 s and then sleeps in the triggerer. It wakes every 10 to 30 s to copy
    new lines of the step's log, and when the pod ends. From the provider's operator it uses connection, client and
    ``on_kill``; what the provider decides by a pod's phase, labels or XCom sidecar, this one decides by the receipt.

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
            do_xcom_push=True,  # of what execute returns; the provider's sidecar for it is not part of our pod
            durable=False,  # else the provider gives a retry the pod of the attempt before
            get_logs=False,  # the provider repeats or loses lines at each wake-up; follow_log does not
            log_events_on_failure=False,
            log_pod_spec_on_failure=False,
            on_finish_action="keep_pod",  # the receipt decides whether a pod is deleted, not the pod's phase
            **kwargs,
        )
        self.step = step
        self.project = project
        self.partition = partition
        self.source = source
        self.options = dict(options or {})

    def execute(self, context: Context) -> Reference:
        """
        Create the pod, watch it, sleep while it works, and end as its receipt says.

        :return: the reference to the receipt, for XCom.
        :raises TaskDeferred: to sleep; Airflow goes on with ``look_again``.
        :raises AirflowSkipException: if the step had nothing to do.
        :raises AirflowFailException: if a retry would fail in the same way.
        :raises TemporaryError: otherwise; Airflow retries.
        """
        with as_airflow_failure():
            return self._launch(context, self._attempt(context))

    def look_again(
        self, context: Context, event: Mapping[str, Any] | Any = None, progress: dict[str, Any] | None = None
    ) -> Reference:
        """
        Go on after a sleep. The name is in Airflow's database while a task sleeps, so it never changes.

        :param event: of the trigger; only whether the trigger failed is read, for the pod itself is looked at.
        :param progress: what ``_sleep`` kept; None after a failure of the triggerer.
        """
        with as_airflow_failure():
            attempt = self._attempt(context, progress)
            if not attempt.progress.pod:
                return self._launch(context, attempt)
            has_failed = isinstance(event, Mapping) and event.get("status") == "error"
            return self._follow(context, attempt, watch_seconds=0.0, is_trigger_well=not has_failed)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on even if the trigger failed: the pod is not affected by that."""
        if next_method == TRIGGER_FAIL_REPR:
            # Airflow passes the error in place of the progress, so nothing is known of what was copied before.
            why = (next_kwargs or {}).get("error", "unknown")
            self.log.warning("The trigger that watched the pod failed (%s); the pod's log is copied again.", why)
            next_method, next_kwargs = self.look_again.__name__, {}
        return super().resume_execution(next_method, next_kwargs, context)

    def _attempt(self, context: Context, kept: dict[str, Any] | None = None) -> Attempt:
        """The task's present attempt, with the progress that was kept while it slept."""
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
        """Delete pods of earlier attempts, create this one's, and follow it."""
        pods, pod = self._pods(attempt), pod_of(attempt)
        try:
            for older in pods.delete_older_attempts(pod):
                self.log.warning("Deleted pod %s, which still ran for an earlier attempt.", older)
            pods.launch(pod)
        except (NoRoomError, UnreachableError) as error:
            limit = attempt.capacity_wait if isinstance(error, NoRoomError) else AWAY_AT_MOST
            if time.time() - attempt.progress.since > limit.total_seconds():
                raise waited_too_long(attempt.command, attempt.name, str(error), limit) from error
            self._log_once(attempt, f"Waiting to create the pod: {error}")
            self._sleep(attempt, is_watched=False)
        words = " ".join(attempt.command.arguments())
        self.log.info("Started pod %s/%s: %s", attempt.namespace, attempt.name, words)
        # The time of waiting goes on: capacity_wait counts from the first attempt to create the pod until its start.
        attempt.progress = Progress(since=attempt.progress.since, pod=attempt.name)
        return self._follow(context, attempt, watch_seconds=WATCH_SECONDS)

    def _follow(
        self, context: Context, attempt: Attempt, *, watch_seconds: float, is_trigger_well: bool = True
    ) -> Reference:
        """Watch the pod until it ends, or until it is time to sleep."""
        pods, output, until = self._pods(attempt), StepLog(self.log), time.monotonic() + watch_seconds
        try:
            _ = attempt.documents  # opened while the pod starts: it takes half a second
            while True:
                state = state_of(pods.read(attempt.name))
                # After the pod was read: if on_kill deleted it, the task was ended, and the pod is not simply gone.
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
        except Exception:  # the task ends before its pod: nobody would wait for the pod
            pods.delete(attempt.stub())
            raise
        return self._conclude(context, attempt, state)

    def _check_wait(self, pods: PodApi, attempt: Attempt, state: PodState) -> None:
        """
        If the pod waits to start: fail if it waits in vain or too long, and log that it waits for room.

        :raises ConfigurationError: if it can never start.
        :raises PermanentError: if it has waited longer than ``capacity_wait``.
        """
        if not state.is_waiting:
            return
        limit = attempt.capacity_wait
        if state.is_unrecoverable:
            raise never_starts(attempt.command, attempt.name, state, pods.warnings(attempt.name))
        if time.time() - attempt.progress.since > limit.total_seconds():
            raise waited_too_long(attempt.command, attempt.name, state.what, limit)
        if state.is_without_room:
            self._log_once(attempt, f"Waiting for room: {state.what}")

    def _conclude(self, context: Context, attempt: Attempt, state: PodState) -> Reference:
        """End the task as the receipt says. The pod is deleted unless it failed; then it stays for an hour (ADR 13)."""
        self.log.info("Pod %s ended: %s", attempt.name, state.what)
        try:
            reference = verdict(attempt, state)
        except StoreUnreachableError as error:
            self._sleep_while_away(attempt, error)
        except AirflowSkipException:
            self._delete(attempt)
            raise
        self._delete(attempt)
        annotate_asset_events(self.outlets, context, attempt.command.partition, reference)
        return reference

    def _delete(self, attempt: Attempt) -> None:
        """Delete a pod whose step is done or was skipped."""
        with suppress(UnreachableError):  # then the reaper deletes it
            self._pods(attempt).delete(attempt.stub())

    def _check_killed(self, attempt: Attempt) -> None:
        if self._killed:
            ObjectStoreHook().revoke(attempt.command)  # a pod on an unreachable node runs on though it was deleted
            raise TemporaryError("The task was ended by Airflow, and its pod was deleted.")

    def _log_once(self, attempt: Attempt, reason: str) -> None:
        """Log why the task waits, if the reason is not the one that was logged last."""
        if reason != attempt.progress.reported:
            self.log.info("%s", reason)
        attempt.progress.reported = reason

    def _sleep_while_away(self, attempt: Attempt, error: TemporaryError) -> NoReturn:
        """Sleep because the API server or the object store does not respond; fail after ``AWAY_AT_MOST``."""
        self._check_killed(attempt)
        since = attempt.progress.away_since = attempt.progress.away_since or time.time()
        if time.time() - since > AWAY_AT_MOST.total_seconds():
            raise error
        self._log_once(attempt, str(error))
        self._sleep(attempt, is_watched=False)

    def _sleep(self, attempt: Attempt, *, is_watched: bool) -> NoReturn:
        """
        Defer the task, to be woken after a while.

        :param is_watched: whether the end of the pod wakes it as well.
        :raises TaskDeferred: always.
        """
        progress = attempt.progress
        progress.looks += 1
        seconds = progress.sleep_seconds()
        trigger: KubernetesPodTrigger | TimeDeltaTrigger = TimeDeltaTrigger(timedelta(seconds=seconds))
        if is_watched:
            trigger = self._pod_trigger(attempt, seconds)
        self.defer(trigger=trigger, method_name=self.look_again.__name__, kwargs={"progress": progress.to_json()})

    def _pod_trigger(self, attempt: Attempt, seconds: float) -> KubernetesPodTrigger:
        """The provider's own trigger: the triggerer cannot import a trigger from a DAG bundle."""
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
            # In seconds since the epoch. The provider means it as a time limit; here it wakes the task to read the log.
            trigger_kwargs={"_execution_deadline": int(time.time() + seconds)},
        )
