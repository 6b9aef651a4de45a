"""
The profile step: statistics of the base source's validated partition, and its drift from the partitions before.

It informs and rejects nothing. It is the only step of the data pipeline that reads other partitions (ADR 2).
"""

import warnings
from functools import partial
from typing import TYPE_CHECKING

from include.contract.layout import Layer, report_key, table_name
from include.contract.receipt import Json, ObjectState, TableState, canonical_json
from include.contract.results import ProfileResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError
from include.modeling.drift import ColumnDrift, table_drift
from include.runtime.context import Plan, StepContext, Work
from include.steps.profile.drift_report import drift_page

if TYPE_CHECKING:
    import pyarrow as pa

REFERENCES_AT_MOST = 3
_REPORTED_AT_MOST = 10


def plan(context: StepContext) -> Plan:
    """
    The profile of a validated partition, compared with those of the three before it that are validated.

    :raises DataRejectedError: if the partition was not validated.
    """
    current = _validated(context, str(context.partition))
    if current is None:
        table = table_name(context.spec.name, Layer.VALIDATED, context.spec.feature_set.base)
        message = f"Table {table} has no partition {context.partition} that a receipt of validate names. "
        raise DataRejectedError(message + f"Run 'validate --partition {context.partition}'.")
    # Oldest first. In a backfill some of these may not be there yet: the profile then compares with fewer.
    before = [context.partition.shift(-count) for count in range(REFERENCES_AT_MOST, 0, -1)]
    references = [state for state in (_validated(context, str(one)) for one in before) if state is not None]
    columns: Json = {name: column.type.value for name, column in context.spec.base.columns.items()}
    return Plan(
        inputs=(current, *references),
        parameters={"columns": columns},
        work=partial(_work, context, current, references),
    )


def _validated(context: StepContext, partition: str) -> TableState | None:
    """The partition's state, if a receipt of validate names exactly its content."""
    table = table_name(context.spec.name, Layer.VALIDATED, context.spec.feature_set.base)
    state = context.stores.tables.state(table, partition)
    if state is None or context.receipts.sealed(StepName.VALIDATE, state) is None:
        return None
    return state


def _work(context: StepContext, current: TableState, references: list[TableState], identity: str) -> Work:
    tables = context.stores.tables
    rows = tables.read(current.name, current.partition, version=current.version)
    before = [tables.read(state.name, state.partition, version=state.version) for state in references]
    types = {name: column.type for name, column in context.spec.base.columns.items()}
    drifts = table_drift(rows, before, types) if before else []
    compared = [state.partition for state in references]
    drifting = [drift for drift in drifts if drift.level != "none"]
    context.events.emit("drift measured", compared_with=compared, drifting=[drift.column for drift in drifting])
    title = f"{context.spec.title}: {context.spec.feature_set.base} {context.partition}"
    meanings = {name: column.meaning for name, column in context.spec.base.columns.items()}
    document: Json = {
        "format": 1,
        "partition": current.partition,
        "compared_with": list(compared),
        "columns": [drift.summary().model_dump(mode="json") for drift in drifts],
    }
    pages = {
        "drift.json": canonical_json(document),
        "drift.html": drift_page(f"{title}: drift", compared, drifts, meanings).encode(),
        "profile.html": _table_report(rows, title).encode(),
    }
    reports = tuple(_seal(context, identity, name, data) for name, data in pages.items())
    return Work(
        outputs=reports,
        row_counts={"rows": rows.num_rows, "rows_before": sum(table.num_rows for table in before)},
        results=_results(compared, drifting),
    )


def _results(compared: list[str], drifting: list[ColumnDrift]) -> ProfileResults:
    top = tuple(drift.summary() for drift in drifting[:_REPORTED_AT_MOST])
    return ProfileResults(compared_with=tuple(compared), columns_drifting=len(drifting), drifting=top)


def _seal(context: StepContext, identity: str, name: str, data: bytes) -> ObjectState:
    key = report_key(context.spec.name, context.command.step.value, str(context.partition), identity, name)
    return context.stores.objects.seal(key, data)


def _table_report(rows: "pa.Table", title: str) -> str:
    """
    A page with samples, statistics and associations of all columns.

    The distributions are on the drift page.
    """
    # Imported here: skrub imports matplotlib and scikit-learn, which a plan that finds its work done does not need.
    from skrub import TableReport

    # skrub's plots take four fifths of its time, 2.3 s of 2.8 s for a month of flights.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of statistics over columns that are all null
        page: str = TableReport(rows.to_pandas(), title=title, verbose=0, plot_distributions=False).html()
    return page
