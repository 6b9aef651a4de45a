"""
A step's command: what Airflow requests of a step, as arguments of one CLI.

The same arguments start a child process (``python -m include.steps …``), a forked process or a pod (whose image has
``python -m include.steps`` as its entry point). Secrets never travel here: arguments are visible in process lists, pod
specs and the web UI.
"""

from dataclasses import dataclass, field

from include.contract.step_names import StepName

ENTRY_POINT = ("-m", "include.steps")
"""Arguments of the Python interpreter that begin every local command."""


@dataclass(frozen=True, kw_only=True)
class StepCommand:
    """One call of one step."""

    step: StepName
    project: str
    """Name of the folder under ``include/projects``."""
    partition: str
    """The data interval, ``2013-03``; for training the last one of the window. Never empty, never 'latest'."""
    run: str
    """The run that the call belongs to: Airflow's run id, or any word when called by hand."""
    attempt: int = 1
    """Number of the attempt, from 1."""
    code: str = ""
    """Digest of the code that must do the work; a step with other code refuses. Empty: any code may."""
    options: tuple[tuple[str, str], ...] = ()
    """Further options of this step, as (name, value) pairs in order: ``("source", "flights")``."""
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Environment variables to set, by name; no secrets."""

    def arguments(self) -> list[str]:
        """The command line behind ``python -m include.steps``."""
        words = [self.step.value, "--project", self.project, "--partition", self.partition, "--run", self.run]
        words += ["--attempt", str(self.attempt)]
        if self.code:
            words += ["--code", self.code]
        for name, value in self.options:
            words += [f"--{name}", value]
        return words

    @property
    def subject(self) -> str:
        """What the call is about: the partition, and the source where the step works on one."""
        return subject_of(self.partition, dict(self.options).get("source"))


def task_name(step: str, source: str | None) -> str:
    """A task's id in Airflow: ``ingest``, or ``ingest_flights`` for a source with a task of its own."""
    return f"{step}_{source}" if source else step


def subject_of(partition: str, source: str | None) -> str:
    """``2013-03``, or ``2013-03/flights`` for a step that works on one source."""
    return f"{partition}/{source}" if source else partition
