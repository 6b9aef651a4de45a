"""Step ``validate``: every source of one partition; good rows to validated, bad ones to quarantine, or nothing."""

from functools import partial

from include.contract.command import subject_of
from include.contract.layout import Layer, report_key, table_name
from include.contract.receipt import Json, State, TableState, canonical_json
from include.contract.step_names import StepName
from include.errors import DataRejectedError
from include.runtime.context import Plan, StepContext, Work
from include.spec.sources import SourceSpec
from include.steps.validate.findings import Judgement
from include.steps.validate.report import html_report
from include.steps.validate.rules import bad_rows, good_rows, judge
from include.stores.metrics.names import MetricLabels, MetricName


def plan(context: StepContext) -> Plan:
    """
    Find what was ingested; the work is to judge all of it and to publish the good rows.

    :raises DataRejectedError: if a source of the partition was never ingested, or its table holds something else since.
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
        message = f"Source '{name}' of {partition} was never ingested: table {table} has no such partition. {advice}"
        raise DataRejectedError(message)
    for receipt in context.receipts.receipts(StepName.INGEST, subject_of(partition, name)):
        if any((output.name, output.digest) == (state.name, state.digest) for output in receipt.outputs):
            return state
    message = (
        f"Table {table}, partition {partition}, holds content ({state.digest[:19]}…) that no receipt of ingest names. "
    )
    raise DataRejectedError(message + advice)


def _rules_of(source: SourceSpec) -> Json:
    """What of a source's spec decides about its rows."""
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
    judgements = []
    for name, source in context.spec.sources.items():
        state = inputs[name]
        rows = context.stores.tables.read(state.name, state.partition, version=state.version)
        judgements.append(judge(name, rows, source, bounds))
        _tell(context, judgements[-1])
    reports = _seal_reports(context, judgements, identity)
    _stop_if_bad(context, judgements, inputs, where=context.stores.objects.url(reports[-1].name))
    outputs: list[State] = [*reports]
    for judgement in judgements:
        outputs += _publish(context, judgement, identity)
    counts = _counts(judgements)
    context.stores.metrics.count(MetricName.ROWS_QUARANTINED, MetricLabels(context.spec.name), counts["quarantined"])
    return Work(outputs=tuple(outputs), row_counts=counts, results=_results(judgements))


def _tell(context: StepContext, judgement: Judgement) -> None:
    context.events.emit(
        "source judged",
        source=judgement.source,
        passed=not judgement.faults,
        rows=judgement.rows.num_rows,
        rows_quarantined=judgement.quarantined,
    )
    for finding in judgement.findings:
        if not finding.passed and finding.level == "warning":
            context.events.warn("check failed that only warns", source=judgement.source, finding=finding.told())


def _seal_reports(context: StepContext, judgements: list[Judgement], identity: str) -> list[State]:
    partition, project = str(context.partition), context.spec.name
    document = {
        "format": 1,
        "project": project,
        "partition": partition,
        "sources": [judgement.document() for judgement in judgements],
    }
    pages = {
        "validation.json": canonical_json(document),
        "validation.html": html_report(project, partition, judgements).encode(),
    }
    step = context.command.step.value
    return [
        context.stores.objects.seal(report_key(project, step, partition, identity, name), data)
        for name, data in pages.items()
    ]


def _stop_if_bad(
    context: StepContext, judgements: list[Judgement], inputs: dict[str, TableState], *, where: str
) -> None:
    told = []
    for judgement in judgements:
        state = inputs[judgement.source]
        if judgement.faults:
            faults = "; ".join(judgement.faults)
            told.append(f"source '{judgement.source}' ({state.name} version {state.version}): {faults}")
    if told:
        message = f"Partition {context.partition} is rejected, nothing of it was published. {'. '.join(told)}. "
        raise DataRejectedError(
            message + f"Report: {where}. Correct the data at its origin, or the spec, and ingest again."
        )


def _publish(context: StepContext, judgement: Judgement, identity: str) -> list[State]:
    """Write the good rows, and the bad ones where there are or were some."""
    partition, tables = str(context.partition), context.stores.tables
    stamp = {"step": context.command.step.value, "run": context.command.run, "identity": identity}
    published: list[State] = []
    quarantine = table_name(context.spec.name, Layer.QUARANTINE, judgement.source)
    if judgement.quarantined or partition in tables.partitions(quarantine):
        published.append(tables.write(quarantine, partition, bad_rows(judgement), stamp=stamp))
    validated = table_name(context.spec.name, Layer.VALIDATED, judgement.source)
    published.append(tables.write(validated, partition, good_rows(judgement), stamp=stamp))
    return published


def _counts(judgements: list[Judgement]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for judgement in judgements:
        counts[f"{judgement.source}.rows"] = judgement.rows.num_rows
        counts[f"{judgement.source}.quarantined"] = judgement.quarantined
    total = sum(judgement.quarantined for judgement in judgements)
    return counts | {"rows": sum(judgement.rows.num_rows for judgement in judgements), "quarantined": total}


def _results(judgements: list[Judgement]) -> Json:
    """Broken rules by source; a rule that is not named holds."""
    return {
        judgement.source: {finding.rule: finding.failed for finding in judgement.findings if not finding.passed}
        for judgement in judgements
    }
