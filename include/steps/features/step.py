"""
The features step: join the validated sources, compute the project's features, refuse leaks, evaluate each feature.

Reads the validated tables of one partition, each with the receipt of the validation that wrote it, and writes one row
per kept row of the base source: key, prediction time, slices, declared features, target. Nothing outside the partition
is read, so that partitions can be computed in any order (ADR 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from include.contract.layout import Layer, report_key, table_name
from include.contract.measures import FeatureEvidence, LeakMoment, Verdict
from include.contract.receipt import Json, TableState, canonical_json
from include.contract.results import FeaturesResults, TargetCount
from include.contract.step_names import StepName
from include.errors import DataRejectedError
from include.modeling.feature_selection import evidence
from include.runtime.context import Plan, StepContext, Work
from include.spec.project import ProjectSpec
from include.steps.features.function import FeatureFunction
from include.steps.features.joins import JoinCount, Joined, joined, reconcile
from include.steps.features.leaks import refuse_leaks
from include.steps.features.sources import SourceRows, arrow_column

REPORT = "features.json"
ROWS_THAT_SHOW_BOTH_CLASSES = 100
"""A partition smaller than this may hold one class only by chance."""


@dataclass(frozen=True)
class Built:
    """One partition of features and what was measured of it, before anything is written."""

    table: pa.Table
    joins: tuple[JoinCount, ...]
    moments: tuple[LeakMoment, ...]
    evidence: Mapping[str, FeatureEvidence]
    positives: int


def plan(context: StepContext) -> Plan:
    """
    The features of one partition, named by the validated rows and by all of the spec that they depend on.

    :raises DataRejectedError: if a source was not validated, or not with exactly these rows.
    """
    spec = context.spec
    inputs = {name: _validated(context, name) for name in _sources_used(spec)}
    return Plan(inputs=tuple(inputs.values()), parameters=_parameters(spec), work=partial(_work, context, inputs))


def _work(context: StepContext, inputs: Mapping[str, TableState], identity: str) -> Work:
    spec, name = context.spec, context.command.partition
    sources = {source: _rows(context, source, state) for source, state in inputs.items()}
    built = build(spec, sources, name)
    for count in built.joins:
        context.events.emit("joined", source=count.source, rows=count.rows_after, unmatched=count.unmatched)
    stamp = {"step": context.command.step.value, "run": context.command.run, "identity": identity}
    sealed = context.stores.tables.write(
        table_name(spec.name, Layer.FEATURES, spec.feature_set.table), name, built.table, stamp=stamp
    )
    key = report_key(spec.name, context.command.step.value, context.command.subject, identity, REPORT)
    results = _results(spec, built, key)
    document = results.model_dump(mode="json", exclude={"step", "report"})
    report = context.stores.objects.seal(key, canonical_json({"partition": name, **document}))
    compared = sum(moment.rows_compared for moment in built.moments)
    context.events.emit("leak test passed", moments=len(built.moments), rows_compared=compared)
    unfit = [feature for feature, one in built.evidence.items() if one.verdict is not Verdict.KEPT]
    context.events.emit("features built", rows=sealed.row_count, features=len(built.evidence), unfit=unfit)
    counts = {"rows": sealed.row_count, "positive": built.positives}
    counts |= {f"unmatched_{count.source}": count.unmatched for count in built.joins}
    return Work(outputs=(sealed, report), row_counts=counts, results=results)


def build(spec: ProjectSpec, sources: Mapping[str, SourceRows], partition: str) -> Built:
    """
    Compute and check the features of one partition; reads and writes no store.

    :param sources: the base source and all joined ones, by name.
    :raises DataRejectedError: if a join loses too many rows, the function changes rows, or the target has one class.
    :raises LeakError: if a feature uses values that were not known yet.
    :raises ConfigurationError: if the function does not exist or returns other columns than declared.
    :raises PermanentError: if the function raises.
    """
    where = f"Partition {partition} of project {spec.name}"
    function = FeatureFunction(spec)
    whole = joined(spec.feature_set, sources)
    reconcile(spec.feature_set, whole.counts, where)
    if whole.frame.empty:
        raise DataRejectedError(f"{where}: no row of '{spec.feature_set.base}' is left to compute features for.")
    target = _target(spec, whole.frame, where)
    features = function(whole.frame)
    table = _table(spec, whole, function.table(features), target)
    label = f"{where}, {function.label}"
    moments = refuse_leaks(spec.feature_set, sources, whole, features, function, label)
    selection = evidence(features, target, spec.feature_set.selection, spec.model.seed)
    return Built(table, whole.counts, moments, selection, int(target.sum()))


def _target(spec: ProjectSpec, frame: pd.DataFrame, where: str) -> NDArray[np.int64]:
    """Int64 of shape (rows,): 1 where the target is a yes, 0 where it is a no."""
    target, values = spec.target, frame[spec.target.column]
    yes = (values >= target.at_least).where(values.notna(), target.when_null)
    classes = np.asarray(yes, dtype=np.int64)
    positives = int(classes.sum())
    if len(classes) >= ROWS_THAT_SHOW_BOTH_CLASSES and positives in {0, len(classes)}:
        reason = (
            f"'{target.column}' has one value in all rows"
            if len(values.unique()) <= 1
            else f"'{target.column}' at least {target.at_least:g} counts as yes"
        )
        message = (
            f"{where}: target '{target.name}' is {'yes' if positives else 'no'} in all {len(classes)} rows; {reason}."
        )
        raise DataRejectedError(message + " Nothing can be learned from one class: check the source and the target.")
    return classes


def _table(spec: ProjectSpec, whole: Joined, features: pa.Table, target: NDArray[np.int64]) -> pa.Table:
    """Key, prediction time, slices, features, target; a column that is two of these is written once."""
    first = [*spec.base.key, spec.feature_set.prediction_time, *spec.evaluation.slices]
    columns = {name: arrow_column(whole.frame[name]) for name in dict.fromkeys(first)}
    columns |= {name: features.column(name) for name in features.column_names}
    columns[spec.target.name] = pa.array(target)
    return pa.table(columns)


def _validated(context: StepContext, source: str) -> TableState:
    partition = context.command.partition
    name = table_name(context.spec.name, Layer.VALIDATED, source)
    state = context.stores.tables.state(name, partition)
    cure = f"Run 'validate' for partition {partition} first."
    if state is None:
        raise DataRejectedError(f"Table {name} has no partition {partition}. {cure}")
    # By content, not by time: a table may have been written by hand, or restored, since its last validation.
    if context.receipts.sealed(StepName.VALIDATE, state) is None:
        message = f"Partition {partition} of {name} holds rows ({state.digest}) that no validation receipt names."
        raise DataRejectedError(f"{message} {cure}")
    return state


def _rows(context: StepContext, source: str, state: TableState) -> SourceRows:
    table = context.stores.tables.read(state.name, state.partition, version=state.version)
    return SourceRows.of(source, context.spec.sources[source], table)


def _sources_used(spec: ProjectSpec) -> list[str]:
    return [spec.feature_set.base, *dict.fromkeys(join.source for join in spec.feature_set.joins)]


def _parameters(spec: ProjectSpec) -> Json:
    """The keys of the spec that the rows depend on; they are part of the receipt's identity."""
    # Of a source only what the joins and the leak test read: another rule of validation must not compute features anew.
    parts = {"columns", "times", "key", "known"}
    return {
        "feature_set": spec.feature_set.model_dump(mode="json"),
        "target": spec.target.model_dump(mode="json"),
        "slices": list(spec.evaluation.slices),
        "seed": spec.model.seed,
        "sources": {
            name: spec.sources[name].model_dump(mode="json", include=parts) for name in sorted(_sources_used(spec))
        },
    }


def _results(spec: ProjectSpec, built: Built, report: str) -> FeaturesResults:
    share = round(built.positives / built.table.num_rows, 6)
    return FeaturesResults(
        feature_set=spec.feature_set.table,
        features=spec.feature_names,
        target=TargetCount(name=spec.target.name, positive=built.positives, share=share),
        joins=tuple(count.described() for count in built.joins),
        leak_test=built.moments,
        selection=dict(built.evidence),
        report=report,
    )
