"""The model that a run trained and judged, as the receipts of its train and evaluate steps tell it."""

from dataclasses import dataclass

from include.contract.model_evidence import ReceiptIdentities, TrainedOn
from include.contract.receipt import ModelState, ObjectState, Receipt, TableState
from include.contract.results import EvaluateResults, TrainResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError, NothingToDoError
from include.runtime.context import StepContext


@dataclass(frozen=True)
class JudgedModel:
    """A model that passed its gates, and the receipts that say so."""

    train: Receipt
    evaluate: Receipt
    model: ModelState
    """As the train step logged it: the digest is that of the model's file."""
    trained: TrainResults
    judgement: EvaluateResults

    def file_digest(self, artifact: str) -> str:
        """
        SHA-256 of an artifact, as the train step wrote it down.

        :raises DataRejectedError: if it did not.
        """
        if artifact not in self.trained.files:
            message = f"The train step's receipt of run {self.model.run_id} does not name artifact {artifact}."
            raise DataRejectedError(f"{message} Train again with another --run.")
        return self.trained.files[artifact].sha256

    def described(self) -> TrainedOn:
        """The evidence that goes with the version."""
        return TrainedOn(
            partition=self.train.partition,
            tables=tuple(state for state in self.train.inputs if isinstance(state, TableState)),
            features=self.trained.features.kept,
            receipts=ReceiptIdentities(train=self.train.identity, evaluate=self.evaluate.identity),
            validation=self.trained.evidence,
            code=self.train.code_digest,
            gates=self.judgement.gates,
            reports=tuple(state.name for state in self.evaluate.outputs if isinstance(state, ObjectState)),
        )


def judged_model(context: StepContext) -> JudgedModel:
    """
    The model that this run trained and judged.

    :raises DataRejectedError: if a receipt is missing, or judges another model.
    :raises NothingToDoError: if the model did not pass its gates.
    """
    train, evaluate = _receipt(context, StepName.TRAIN), _receipt(context, StepName.EVALUATE)
    run = context.command.run
    trained, judgement = train.results_of(TrainResults), evaluate.results_of(EvaluateResults)
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
