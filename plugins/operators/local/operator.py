"""A step as a child process of the task: execution mode ``local``."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context

from include.contract import settings
from include.contract.command import StepCommand
from include.contract.fork_protocol import ForkRequest
from include.contract.step_names import StepName
from include.errors import TemporaryError
from include.spec.load import load_project
from plugins.hooks.environment import step_environment
from plugins.hooks.stores import ObjectStoreHook
from plugins.operators.local.forked_process import NotForkedError, fork_step
from plugins.operators.local.process import OrdinaryProcess, StepProcess, follow, wait_for_end
from plugins.operators.outcome import Reference, conclude
from plugins.operators.step_call import StepCall, annotate_asset_events, as_airflow_failure
from plugins.operators.step_log import StepLog
from plugins.operators.step_resources import given_for, resources_of, without_effect_locally


class LocalStepOperator(BaseOperator):
    """
    Runs one step as a process of this machine; the step's receipt decides how the task ends.

    The process is forked by the fork server where there is one, and is an ordinary child otherwise. In both cases it
    leads a process group of its own, which never outlives the task.

    :param step: word of the step.
    :param project: folder under ``include/projects``.
    :param partition: the data interval, like ``2013-03``. (templated)
    :param source: for ``ingest``: the only source that it reads.
    :param options: further options of the step, by name. (templated)
    """

    template_fields: Collection[str] = ("partition", "options")
    ui_color = "#e8f1fa"
    grace_seconds = 3.0
    """How long the step may take to end after SIGTERM before it is killed; Airflow kills this process after 5 s."""

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
        super().__init__(**kwargs)
        self.step = step
        self.project = project
        self.partition = partition
        self.source = source
        self.options = dict(options or {})
        self._threads = 1
        self._process: StepProcess | None = None
        self._is_killed = False

    def pre_execute(self, context: Any) -> None:
        """Take over the time limit of the trigger form, if it has one."""
        # Airflow arms its timer from execution_timeout between this method and execute.
        with as_airflow_failure():
            given = given_for(StepName(self.step), context["params"])
        if given is not None and given.timeout is not None:
            self.execution_timeout = given.timeout

    def execute(self, context: Context) -> Reference:
        """
        Start the step, log its output, and end as its receipt says.

        :return: the reference to the receipt, for XCom.
        :raises AirflowSkipException: if the step had nothing to do.
        :raises AirflowFailException: if a retry would fail in the same way.
        :raises TemporaryError: otherwise; Airflow retries.
        """
        with as_airflow_failure():
            command = self._command(context)
            resources = resources_of(load_project(self.project), command.step, context["params"])
            if ignored := without_effect_locally(resources):
                self.log.warning("Without effect on this machine, where no cluster enforces it: %s", ignored)
            self._threads = resources.threads
            reference = self._run(command)
        annotate_asset_events(self.outlets, context, command.partition, reference)
        return reference

    def _run(self, command: StepCommand) -> Reference:
        output = StepLog(self.log)
        process = self._process = self._start(command)
        try:
            if self._is_killed:  # on_kill came while the process was being started, and could not end it yet
                process.end()
            # Opened while the step works: importing a store and connecting takes half a second.
            documents = ObjectStoreHook().get_conn()
            exit_code = follow(process, output)
        # AirflowTaskTimeout is a BaseException, and may be raised anywhere in this thread: it has to end the step, too.
        except BaseException:
            wait_for_end(process, output)
            raise
        finally:
            self._process = None
            process.close()
        if self._is_killed:
            raise TemporaryError(f"The task was ended by Airflow, and its step with it (exit code {exit_code}).")
        return conclude(command, exit_code, documents, output.last_error)

    def on_kill(self) -> None:
        """End the step's whole process group."""
        self._is_killed = True
        if self._process is not None:
            self._process.end()

    def _command(self, context: Context) -> StepCommand:
        call = StepCall(
            step=self.step, project=self.project, partition=self.partition, source=self.source, options=self.options
        )
        return call.command(context)

    def _start(self, command: StepCommand) -> StepProcess:
        words, environment = command.arguments(), step_environment(self._threads)
        folder = code_folder()
        request = ForkRequest(
            arguments=tuple(words), environment=environment, folder=str(folder), grace_seconds=self.grace_seconds
        )
        try:
            process: StepProcess = fork_step(environment.get(settings.FORK_SERVER), request)
            self.log.info("Forked process %d: %s", process.pid, " ".join(words))
        except NotForkedError as reason:
            process = OrdinaryProcess(words, environment, folder, self.grace_seconds)
            self.log.warning("Not forked, so this step imports its libraries anew: %s", reason)
            self.log.info("Started process %d: %s", process.pid, " ".join(words))
        return process


def code_folder() -> Path:
    """The bundle's root, relative to this file: with versioned bundles each version runs its own steps."""
    return Path(__file__).resolve().parents[3]
