"""
The receipt of a step, and the outcome of one attempt: what comes back from a step, as versioned JSON.

A receipt is written once, by conditional create, when all outputs are sealed. Its name is the identity of the work:
same step, same subject, same parameters, same inputs, same code. An outcome states how one attempt ended and names the
receipt. The outcome decides how Airflow's task ends, not the exit code of a process and not the phase of a pod.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, JsonValue, ValidationError, model_validator

from include.contract.command import task_name
from include.contract.document import Document
from include.contract.results import Results
from include.contract.step_names import StepName
from include.errors import DataRejectedError, UnreadableFormatError, foreign

FORMAT: Literal[2] = 2
"""Format of the receipts that this version writes."""
Json = dict[str, JsonValue]
ResultsT = TypeVar("ResultsT", bound=Document)


class TableState(Document):
    """One partition of one table, as a step read or sealed it."""

    kind: Literal["table"] = "table"
    name: str
    """The table: ``flights/validated/weather``."""
    partition: str
    version: int
    """The table's version in which the partition was read, or by which it was sealed."""
    digest: str
    """Digest of the partition's logical content: ``sha256:…``."""
    row_count: int


class ObjectState(Document):
    """One object, as a step read or sealed it: a source file, a report, a file of a bundle."""

    kind: Literal["object"] = "object"
    name: str
    """The key in the object store, or the location of a source."""
    digest: str
    """``sha256:…`` of the bytes."""
    size_bytes: int


class ModelState(Document):
    """A model in MLflow: the run that logged it and, once registered, its version."""

    kind: Literal["model"] = "model"
    name: str
    """Name of the registered model."""
    run_id: str
    """The MLflow run."""
    version: int | None = None
    digest: str
    """``sha256:…`` of the model file or of the bundle's manifest."""


State = Annotated[TableState | ObjectState | ModelState, Field(discriminator="kind")]


class Receipt(Document):
    """What one step did, once."""

    format: Literal[2] = FORMAT
    identity: str
    """SHA-256 over step, project, subject, parameters, inputs' digests and code digest."""
    step: StepName
    project: str
    subject: str
    """``2013-03``, or ``2013-03/flights``."""
    partition: str
    run: str
    """The run that did the work; later runs with the same identity reuse it."""
    attempt: int
    parameters: Json
    """The part of the spec and of the options that the result depends on."""
    inputs: tuple[State, ...]
    outputs: tuple[State, ...]
    row_counts: dict[str, int]
    """Named counts: rows read, kept, quarantined, lost in a join."""
    results: Results
    """The step's typed results: metrics, decisions, names of reports; never a row's values."""
    code_digest: str
    started_at: datetime
    finished_at: datetime
    host: str

    @model_validator(mode="after")
    def _results_are_of_the_step(self) -> Self:
        if self.results.step is not self.step:
            message = f"a receipt of {self.step.value} cannot hold results of {self.results.step.value}"
            raise ValueError(message)
        return self

    @classmethod
    def from_json(cls, data: bytes, where: str) -> "Receipt":
        """
        Read a receipt of this format, or one of format 1 whose results mean the same.

        :param where: its key, for messages.
        :raises UnreadableFormatError: if its format is newer, or is format 1 and its results say less.
        :raises DataRejectedError: if it is damaged.
        """
        try:
            given = _document(data)
        except ValueError as error:
            raise _damaged(where, error) from error
        number = given.get("format")
        if isinstance(number, int) and number > FORMAT:
            raise _unreadable(where, f"is of format {number}", given)
        try:
            return cls.model_validate_json(json.dumps(_from_format_1(given)) if number == 1 else data)
        except ValidationError as error:
            if number == 1 and all(detail["loc"][:1] == ("results",) for detail in error.errors()):
                lacking = f"is of format 1, and its results are not what is read today ({foreign(error)})"
                raise _unreadable(where, lacking, given) from error
            raise _damaged(where, error) from error

    def results_of(self, kind: type[ResultsT]) -> ResultsT:
        """
        The results, as those of a step that the caller knows.

        :raises DataRejectedError: if the receipt is of another step.
        """
        if not isinstance(self.results, kind):
            message = (
                f"Receipt {self.identity} of {self.subject} is one of step '{self.step.value}', not {kind.__name__}."
            )
            raise DataRejectedError(message)
        return self.results

    def tables(self, layer: str) -> list[TableState]:
        """The output tables of one layer."""
        return [state for state in self.outputs if isinstance(state, TableState) and f"/{layer}/" in state.name]


def _document(data: bytes) -> dict[str, Any]:
    given = json.loads(data)
    if not isinstance(given, dict):
        message = "it is no object"
        raise ValueError(message)  # noqa: TRY004 (what is wrong is the text, not a type in this program)
    return given


def _from_format_1(given: dict[str, Any]) -> dict[str, Any]:
    """Format 1 had results without the step's word, and those of validate were the broken rules by themselves."""
    step, results = given.get("step"), given.get("results")
    if not isinstance(results, dict):
        return given
    results = {"broken": results} if step == StepName.VALIDATE else results
    return given | {"format": FORMAT, "results": {**results, "step": step}}


def _unreadable(where: str, what: str, given: dict[str, Any]) -> UnreadableFormatError:
    return UnreadableFormatError(
        f"Receipt {where} {what}; this version of the platform writes format {FORMAT}. Run step '{given.get('step')}' "
        f"for {given.get('subject')} again with this version, or go on with the version that wrote it."
    )


def _damaged(where: str, error: ValueError) -> DataRejectedError:
    return DataRejectedError(f"Receipt {where} is damaged: {foreign(error)}. Remove it and run its step again.")


class OutcomeStatus(StrEnum):
    """How an attempt ended."""

    DONE = "done"
    ALREADY_DONE = "already_done"
    SKIPPED = "skipped"
    FAILED = "failed"


class Outcome(Document):
    """How one attempt of a step ended; written last."""

    format: Literal[1] = 1
    status: OutcomeStatus
    exit_code: int
    step: str
    project: str
    subject: str
    run: str
    attempt: int
    receipt: str | None = None
    """Key of the receipt, for done and already done; None for a call of several parts."""
    receipts: dict[str, str] = Field(default_factory=dict)
    """For a call of several parts: keys of the receipts that hold, by subject; also of one that failed in others."""
    message: str = ""
    """One line: why it failed or was skipped."""
    seconds: float

    @property
    def task(self) -> str:
        """The task's id in Airflow."""
        return task_name(self.step, self.subject.partition("/")[2])

    @property
    def is_done(self) -> bool:
        """Whether all that the call requested is done, now or before."""
        return self.status in {OutcomeStatus.DONE, OutcomeStatus.ALREADY_DONE}

    @property
    def receipt_keys(self) -> tuple[str, ...]:
        """Keys of all receipts that hold: one, or one for each part."""
        return (self.receipt,) if self.receipt is not None else tuple(self.receipts.values())


def identity_of(
    *, step: str, project: str, subject: str, parameters: Mapping[str, JsonValue], inputs: tuple[State, ...], code: str
) -> str:
    """
    Name the work: equal parts give equal names, whatever run, host or time.

    Of an input only name and digest count, not the version of the table in which it was read.
    """
    parts = {
        "step": step,
        "project": project,
        "subject": subject,
        "parameters": dict(parameters),
        "inputs": sorted([state.kind, state.name, _partition(state), state.digest] for state in inputs),
        "code": code,
    }
    return hashlib.sha256(canonical_json(parts)).hexdigest()


def _partition(state: State) -> str:
    return state.partition if isinstance(state, TableState) else ""


def canonical_json(value: object) -> bytes:
    """JSON with sorted keys and no spaces: equal values give equal bytes."""
    # NaN and infinities are no JSON: Python would write them, and other readers refuse the document.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
