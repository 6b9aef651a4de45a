"""
The validate step: all sources of one partition against their rules.

Good rows are written to the validated tables, bad ones to quarantine. If one source is rejected, nothing of the
partition is published: the sources are joined later, and belong to one state of the world.
"""

from functools import partial

from include.contract.command import subject_of
from include.contract.layout import Layer, report_key, table_name
from include.contract.receipt import Json, State, TableState, canonical_json
from include.contract.results import ValidateResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError
from include.runtime.context import Plan, StepContext, Work
from include.spec.sources import SourceSpec
from include.steps.validate.findings import SourceValidation
from include.steps.validate.report import html_report
from include.steps.validate.rules import bad_rows, good_rows, validate_source
from include.stores.metrics.names import MetricLabels, MetricName


def plan(context: StepContext) -> Plan:
    """
    The validation of a partition, named by the ingested rows of all sources and by their rules.

    :raises DataRejectedError: if a source of the partition was not ingested, or its table was changed since.
    """
    inputs = {name: _ingested(context, name) for name in context.spec.sources}
    parameters: Json = {
        "timezone": context.spec.timezone,
        "grain": context.spec.grain.value,
        "sources": {name: _rules_of(source) for name, source in context.spec.sources.items()},
    }
    return Plan(inputs=tuple(inputs.values()), parameters=parameters, work=partial(_work, context, inputs))


def _ingested(context: StepContext, name: str) -> TableState:
    partition, table = str(context.partition), table_name(context.spec.name, Layer.RAW, name)
    state = context.stores.tables.state(table, partition)
    advice = f"Run 'ingest --partition {partition} --source {name}'."
    if state is None:
        message = f"Source '{name}' of {partition} was not ingested: table {table} has no such partition. {advice}"
        raise DataRejectedError(message)
    for receipt in context.receipts.receipts(StepName.INGEST, subject_of(partition, name)):
        if any((output.name, output.digest) == (state.name, state.digest) for output in receipt.outputs):
            return state
    message = (
        f"Table {table}, partition {partition}, holds content ({state.digest[:19]}…) that no receipt of ingest names. "
    )
    raise DataRejectedError(message + advice)


def _rules_of(source: SourceSpec) -> Json:
    """The keys of a source's spec that decide about its rows; they are part of the receipt's identity."""
    return {
        "key": list(source.key),
        "event_time": source.event_time,
        "rows": source.rows.model_dump(),
        "quarantine_at_most": source.quarantine_at_most,
        "columns": {name: [column.type.value, column.nulls_at_most] for name, column in source.columns.items()},
        "checks": [check.model_dump(mode="json") for check in source.checks],
    }


def _work(context: StepContext, inputs: dict[str, TableState], identity: str) -> Work:
    bounds = context.partition.bounds(context.spec.timezone)
    validations = []
    for name, source in context.spec.sources.items():
        state = inputs[name]
        rows = context.stores.tables.read(state.name, state.partition, version=state.version)
        validations.append(validate_source(name, rows, source, bounds))
        _report(context, validations[-1])
    # Before the rejection, whose message names the report.
    reports = _seal_reports(context, validations, identity)
    _stop_if_bad(context, validations, inputs, where=context.stores.objects.url(reports[-1].name))
    outputs: list[State] = [*reports]
    for validation in validations:
        outputs += _publish(context, validation, identity)
    counts = _counts(validations)
    context.stores.metrics.count(MetricName.ROWS_QUARANTINED, MetricLabels(context.spec.name), counts["quarantined"])
    return Work(outputs=tuple(outputs), row_counts=counts, results=_results(validations))


def _report(context: StepContext, validation: SourceValidation) -> None:
    context.events.emit(
        "source validated",
        source=validation.source,
        passed=not validation.faults,
        rows=validation.rows.num_rows,
        rows_quarantined=validation.quarantined,
    )
    for finding in validation.findings:
        if not finding.passed and finding.level == "warning":
            context.events.warn("check of level warning failed", source=validation.source, finding=finding.summary())


def _seal_reports(context: StepContext, validations: list[SourceValidation], identity: str) -> list[State]:
    partition, project = str(context.partition), context.spec.name
    document = {
        "format": 1,
        "project": project,
        "partition": partition,
        "sources": [validation.document() for validation in validations],
    }
    pages = {
        "validation.json": canonical_json(document),
        "validation.html": html_report(project, partition, validations).encode(),
    }
    step = context.command.step.value
    return [
        context.stores.objects.seal(report_key(project, step, partition, identity, name), data)
        for name, data in pages.items()
    ]


def _stop_if_bad(
    context: StepContext, validations: list[SourceValidation], inputs: dict[str, TableState], *, where: str
) -> None:
    rejected = []
    for validation in validations:
        state = inputs[validation.source]
        if validation.faults:
            faults = "; ".join(validation.faults)
            rejected.append(f"source '{validation.source}' ({state.name} version {state.version}): {faults}")
    if rejected:
        message = f"Partition {context.partition} is rejected, none of it was published. {'. '.join(rejected)}. "
        raise DataRejectedError(
            message + f"Report: {where}. Correct the data at its origin, or the spec, and ingest again."
        )


def _publish(context: StepContext, validation: SourceValidation, identity: str) -> list[State]:
    """Write the good rows, and the bad ones if there are some, or were some in an earlier validation."""
    partition, tables = str(context.partition), context.stores.tables
    stamp = {"step": context.command.step.value, "run": context.command.run, "identity": identity}
    published: list[State] = []
    quarantine = table_name(context.spec.name, Layer.QUARANTINE, validation.source)
    if validation.quarantined or partition in tables.partitions(quarantine):
        published.append(tables.write(quarantine, partition, bad_rows(validation), stamp=stamp))
    validated = table_name(context.spec.name, Layer.VALIDATED, validation.source)
    published.append(tables.write(validated, partition, good_rows(validation), stamp=stamp))
    return published


def _counts(validations: list[SourceValidation]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for validation in validations:
        counts[f"{validation.source}.rows"] = validation.rows.num_rows
        counts[f"{validation.source}.quarantined"] = validation.quarantined
    total = sum(validation.quarantined for validation in validations)
    return counts | {"rows": sum(validation.rows.num_rows for validation in validations), "quarantined": total}


def _results(validations: list[SourceValidation]) -> ValidateResults:
    broken = {
        validation.source: {finding.rule: finding.failed for finding in validation.findings if not finding.passed}
        for validation in validations
    }
    return ValidateResults(broken=broken)
