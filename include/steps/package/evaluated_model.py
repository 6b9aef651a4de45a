"""The model that a run trained and judged, as the receipts of its train and evaluate steps tell it."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from include.contract.receipt import Json, ModelState, ObjectState, Receipt, TableState
from include.contract.step_names import StepName
from include.errors import DataRejectedError, NothingToDoError, foreign
from include.runtime.context import StepContext


class _Part(BaseModel):
    """What is read of a receipt's results; the rest of them is not asked for here."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _File(_Part):
    sha256: str


class _Target(_Part):
    positive_class: bool | int | float | str | None = None


class _Features(_Part):
    kept: list[str]


class _TrainResults(_Part):
    files: dict[str, _File]
    signature: dict[str, list[dict[str, JsonValue]]]
    target: _Target
    features: _Features
    evidence: JsonValue = None


class _EvaluateResults(_Part):
    passed: bool
    reasons: list[str] = []
    gates: list[JsonValue] = []


@dataclass(frozen=True)
class JudgedModel:
    """A model that passed its gates, and the receipts that say so."""

    train: Receipt
    evaluate: Receipt
    model: ModelState
    """As the train step logged it: the digest is that of the model's file."""
    trained: _TrainResults
    judgement: _EvaluateResults

    @property
    def signature(self) -> Mapping[str, list[dict[str, JsonValue]]]:
        """Columns in and out, in MLflow's words."""
        return self.trained.signature

    @property
    def positive_class(self) -> bool | int | float | str | None:
        """The class whose probability is asked for."""
        return self.trained.target.positive_class

    @property
    def gates(self) -> list[JsonValue]:
        """How the model did at each gate."""
        return self.judgement.gates

    def file_digest(self, artifact: str) -> str:
        """
        SHA-256 of an artifact, as the train step wrote it down.

        :raises DataRejectedError: if it did not.
        """
        if artifact not in self.trained.files:
            message = f"The train step's receipt of run {self.model.run_id} does not name artifact {artifact}."
            raise DataRejectedError(f"{message} Train again with another --run.")
        return self.trained.files[artifact].sha256

    def described(self) -> Json:
        """The evidence that goes with the version."""
        tables = [state for state in self.train.inputs if isinstance(state, TableState)]
        reports = [state for state in self.evaluate.outputs if isinstance(state, ObjectState)]
        return {
            "partition": self.train.partition,
            "tables": [state.model_dump(mode="json") for state in tables],
            "features": list(self.trained.features.kept),
            "receipts": {"train": self.train.identity, "evaluate": self.evaluate.identity},
            "validation": self.trained.evidence,
            "code": self.train.code_digest,
            "gates": self.gates,
            "reports": [state.name for state in reports],
        }


def judged_model(context: StepContext) -> JudgedModel:
    """
    The model that this run trained and judged.

    :raises DataRejectedError: if a receipt is missing, or judges another model.
    :raises NothingToDoError: if the model did not pass its gates.
    """
    train, evaluate = _receipt(context, StepName.TRAIN), _receipt(context, StepName.EVALUATE)
    run = context.command.run
    try:
        trained = _TrainResults.model_validate(train.results)
        judgement = _EvaluateResults.model_validate(evaluate.results)
    except ValidationError as error:
        message = f"The receipts of run '{run}' are not what this version of the platform writes: {foreign(error)}"
        raise DataRejectedError(f"{message} Train again with another --run.") from error
    models = [state for state in train.outputs if isinstance(state, ModelState)]
    if len(models) != 1:
        raise DataRejectedError(f"The train step of run '{run}' sealed {len(models)} models; one is expected.")
    model = models[0]
    if not any(isinstance(state, ModelState) and state.digest == model.digest for state in evaluate.inputs):
        message = f"The evaluate step of run '{run}' judged another model than {model.name} of run {model.run_id}."
        raise DataRejectedError(f"{message} Run the evaluate step again.")
    if not judgement.passed:
        reasons = "; ".join(judgement.reasons) or "see the evaluate step's report"
        raise NothingToDoError(f"The model of run '{run}' is not promoted: {reasons}.")
    return JudgedModel(train, evaluate, model, trained, judgement)


def _receipt(context: StepContext, step: StepName) -> Receipt:
    command = context.command
    found = context.receipts.of_run(step, command.run, command.subject)
    if found is None:
        message = f"Run '{command.run}' has no receipt of step '{step.value}' for {command.subject}"
        raise DataRejectedError(f"{message}; run that step first with the same --run and --partition.")
    return found
