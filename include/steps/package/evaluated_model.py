"""The model that a run trained and evaluated, from the receipts of these steps."""

from dataclasses import dataclass

from include.contract.model_evidence import ReceiptIdentities, TrainedOn
from include.contract.receipt import ModelState, ObjectState, Receipt, TableState
from include.contract.results import EvaluateResults, TrainResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError, NothingToDoError
from include.runtime.context import StepContext


@dataclass(frozen=True)
class EvaluatedModel:
    """A model that passed its gates, and the receipts that prove it."""

    train: Receipt
    evaluate: Receipt
    model: ModelState
    """As the train step logged it: the digest is that of the model's file."""
    trained: TrainResults
    evaluation: EvaluateResults

    def file_digest(self, artifact: str) -> str:
        """
        SHA-256 of an artifact in hexadecimal, from the receipt of the train step.

        :param artifact: path among the run's artifacts.
        :raises DataRejectedError: if the receipt does not name it.
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
            gates=self.evaluation.gates,
            reports=tuple(state.name for state in self.evaluate.outputs if isinstance(state, ObjectState)),
        )


def evaluated_model(context: StepContext) -> EvaluatedModel:
    """
    The model that this run trained and evaluated.

    :raises DataRejectedError: if a receipt is missing, or evaluates another model.
    :raises NothingToDoError: if the model did not pass its gates.
    """
    train, evaluate = _receipt(context, StepName.TRAIN), _receipt(context, StepName.EVALUATE)
    run = context.command.run
    trained, evaluation = train.results_of(TrainResults), evaluate.results_of(EvaluateResults)
    models = [state for state in train.outputs if isinstance(state, ModelState)]
    if len(models) != 1:
        raise DataRejectedError(f"The train step of run '{run}' sealed {len(models)} models; one is expected.")
    model = models[0]
    # By digest: a run that is repeated may have a newer training than its evaluation.
    if not any(isinstance(state, ModelState) and state.digest == model.digest for state in evaluate.inputs):
        message = f"The evaluate step of run '{run}' evaluated another model than {model.name} of run {model.run_id}."
        raise DataRejectedError(f"{message} Run the evaluate step again.")
    if not evaluation.passed:
        reasons = "; ".join(evaluation.reasons) or "see the evaluate step's report"
        raise NothingToDoError(f"The model of run '{run}' is not promoted: {reasons}.")
    return EvaluatedModel(train, evaluate, model, trained, evaluation)


def _receipt(context: StepContext, step: StepName) -> Receipt:
    command = context.command
    receipt = context.receipts.of_run(step, command.run, command.subject)
    if receipt is None:
        message = f"Run '{command.run}' has no receipt of step '{step.value}' for {command.subject}"
        raise DataRejectedError(f"{message}; run that step first with the same --run and --partition.")
    return receipt
