"""
Provenance of the rows that are trained on: the receipts of their content, from features back to validation.

A training reads the features table at one version. For each partition it requires the receipt by which the features
step wrote exactly these rows, and for each table that the step read, the receipt of the validation that wrote exactly
that content. The newest receipt does not do: it may name other rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from include.contract.layout import Layer, table_name
from include.contract.receipt import Receipt, TableState
from include.contract.results import Provenance
from include.contract.step_names import StepName
from include.errors import DataRejectedError, listed
from include.runtime.context import StepContext


@dataclass(frozen=True)
class ValidatedPartition:
    """One partition of the features table, and the receipts behind it."""

    state: TableState
    features: Receipt
    validations: tuple[Receipt, ...]

    def described(self) -> Provenance:
        """Identities of the receipts."""
        return Provenance(
            partition=self.state.partition,
            features=self.features.identity,
            validations=tuple(receipt.identity for receipt in self.validations),
        )


def features_table(context: StepContext) -> str:
    """Name of the project's features table."""
    return table_name(context.spec.name, Layer.FEATURES, context.spec.feature_set.table)


def validated_partitions(context: StepContext, partitions: Sequence[str]) -> tuple[ValidatedPartition, ...]:
    """
    The partitions of the features table with their provenance, all in one version of the table.

    :param partitions: oldest first.
    :raises DataRejectedError: if a partition does not exist, or no receipt names its rows.
    """
    table, tables = features_table(context), context.stores.tables
    # One version for all partitions: a backfill that runs meanwhile must not change half of the window.
    version = tables.version(table)
    missing = sorted(set(partitions) - set(tables.partitions(table)))
    if missing or version is None:
        message = (
            f"Table {table} has no partition {listed(missing)}, but the training window is {partitions[0]} to "
            f"{partitions[-1]}. {_cure(context, missing[0])}"
        )
        raise DataRejectedError(message)
    return tuple(_validated(context, table, partition, version) for partition in partitions)


def _validated(context: StepContext, table: str, partition: str, version: int) -> ValidatedPartition:
    state = context.stores.tables.state(table, partition, version=version)
    if state is None:
        message = f"Table {table} lost partition {partition} by version {version}. {_cure(context, partition)}"
        raise DataRejectedError(message)
    receipt = context.receipts.sealed(StepName.FEATURES, state)
    if receipt is None:
        message = (
            f"Partition {partition} of {table} holds rows ({state.digest}, version {version}) that no features receipt "
            f"names: nothing is trained on them. {_cure(context, partition)}"
        )
        raise DataRejectedError(message)
    return ValidatedPartition(state, receipt, tuple(_validations(context, receipt)))


def _validations(context: StepContext, features: Receipt) -> list[Receipt]:
    read = [state for state in features.inputs if isinstance(state, TableState)]
    receipts = [(state, context.receipts.sealed(StepName.VALIDATE, state)) for state in read]
    unproved = [f"{state.name} ({state.digest})" for state, receipt in receipts if receipt is None]
    if unproved or not read:
        message = (
            f"Features of partition {features.partition} come from rows that no validation receipt names: "
            f"{listed(unproved) or 'their receipt names no input'}. {_cure(context, features.partition)}"
        )
        raise DataRejectedError(message)
    return [receipt for _, receipt in receipts if receipt is not None]


def _cure(context: StepContext, partition: str) -> str:
    name = context.spec.name
    return (
        f"Run 'validate' and 'features' for it (python -m include.steps features --project {name} --partition "
        f"{partition} --run by-hand; 'ingest' first if it was not ingested), or backfill the DAG {name}_data."
    )
