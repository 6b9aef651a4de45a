"""The contenders: the challenger that a run trained, and the champion that is served."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from include.contract.digest import digest_of
from include.contract.partition import Partition
from include.contract.receipt import ModelState, Receipt
from include.contract.step_names import StepName
from include.errors import DataRejectedError, listed
from include.governance.versions import champion, sealed_version
from include.modeling.metrics import Numbers
from include.packaging.files import load_model
from include.runtime.context import StepContext
from include.stores.objects.bundles import sealed_bundle
from include.stores.registry.run_files import MODEL_ARTIFACT, fetched


@dataclass(frozen=True)
class Contender:
    """A loaded model and the columns that it requires, in its order."""

    model: Any
    columns: tuple[str, ...]

    def missing(self, frame: pd.DataFrame) -> list[str]:
        """Columns that the rows do not have."""
        return [name for name in self.columns if name not in frame.columns]

    def probabilities(self, frame: pd.DataFrame) -> Numbers:
        """
        The probability of a 1 for each row.

        :param frame: one row per row, with at least :attr:`columns`.
        :return: float64 of shape (rows,), each from 0 to 1.
        """
        probabilities = np.asarray(self.model.predict_proba(frame[list(self.columns)]), dtype=np.float64)
        return probabilities[:, 1]


def load_challenger(context: StepContext, state: ModelState, columns: Sequence[str]) -> Contender:
    """
    Load the model that the train step logged, after a comparison of its file with the digest in the receipt.

    :param columns: the challenger's features, in its order.

    :raises DataRejectedError: if the file is gone, changed or a pickle.
    """
    content = fetched(context.stores.registry, state.run_id, MODEL_ARTIFACT)
    digest = digest_of(content)
    where = f"{MODEL_ARTIFACT} of MLflow run {state.run_id}"
    # Before a byte is parsed: who can write to MLflow's artifacts must not run code here (ADR 8).
    if digest != state.digest:
        kind = " and is a pickle" if content[:1] == b"\x80" else ""
        message = f"{where} has digest {digest}{kind}, the train step wrote {state.digest}: it was not opened. "
        raise DataRejectedError(message + "Run 'train' again: it notices that its model was changed and fits it anew.")
    return Contender(load_model(content, where), tuple(columns))


def load_champion(context: StepContext, state: ModelState) -> Contender:
    """
    Load the champion from its sealed bundle.

    :raises DataRejectedError: if a file of the bundle is gone or changed.
    """
    bundle = sealed_bundle(context.stores.objects, context.spec.name, state.digest)
    return Contender(bundle.load(), tuple(column.name for column in bundle.manifest.inputs))


def champion_to_compare(context: StepContext, challenger: ModelState) -> ModelState | None:
    """
    The champion to compare with; None if there is none.

    If the challenger is the champion already, this is the champion of its first evaluation: a step that is repeated
    after the promotion must not compare a model with itself.
    """
    served = champion(context.stores.registry, challenger.name)
    if served is None:
        return None
    if served.run_id != challenger.run_id:
        return ModelState(name=served.model, run_id=served.run_id, version=served.version, digest=served.digest)
    for receipt in context.receipts.receipts(StepName.EVALUATE, context.command.subject):
        if challenger in receipt.inputs:
            return champion_of(receipt, challenger)
    return None


def champion_of(receipt: Receipt, challenger: ModelState) -> ModelState | None:
    """The champion among the inputs of an evaluation; None if it had none."""
    champions = [state for state in receipt.inputs if isinstance(state, ModelState) and state != challenger]
    return champions[0] if champions else None


def fitted_test_partitions(context: StepContext, state: ModelState, test: Sequence[str]) -> list[str]:
    """Test partitions that a champion was fitted on: its metrics there are optimistic, a gate against it too strict."""
    # It happens when an older window is trained again, or one that ends with the same partition. A window's test
    # partitions were not fitted on; its length is that of today's spec, as the version's tags do not hold it.
    version = context.stores.registry.version(state.name, state.version or 0)
    if version is None:
        return []
    grain, last = context.partition.grain, sealed_version(version).partition
    fitted_until = Partition.parse(last, grain).shift(-context.spec.split.test)
    return [name for name in test if Partition.parse(name, grain) <= fitted_until]


def cannot_compare(champion_state: ModelState, missing: Sequence[str], table: str) -> str:
    """Why the champion cannot predict these rows, in a sentence."""
    return (
        f"champion version {champion_state.version} cannot predict rows of {table}, which lacks its columns "
        f"{listed(missing)}; to replace it all the same, take the gate out of the spec for one training"
    )
