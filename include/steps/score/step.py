"""
The score step: batch predictions of one partition by the model that was champion when the partition began.

The model is the last promoted one whose training window had ended by then, so that a prediction is one that could have
been made at that time. If the features table holds the target of each row, the quality is measured, too; it is observed
afterwards, and no gate and no promotion depends on it.

**The receipt**: ``inputs`` the partition of the features table and the champion's ``ModelState``; ``outputs`` the
partition of the predictions table; ``row_counts`` ``rows``, ``positive``; ``results``
:class:`~include.contract.results.ScoreResults`.
"""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from include.contract.layout import Layer, table_name
from include.contract.receipt import ModelState, TableState
from include.contract.results import ObservedQuality, ScoreResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError
from include.modeling.intervals import ModelMetrics, Resampling
from include.modeling.metrics import Numbers
from include.modeling.slices import days
from include.runtime.context import Plan, StepContext, Work
from include.runtime.threads import capped_threads, thread_count
from include.steps.score.batch import BatchModel
from include.steps.score.champion_as_of import ChampionAsOf, champion_as_of
from include.stores.metrics.names import MetricLabels, MetricName
from include.stores.objects.bundles import sealed_bundle

if TYPE_CHECKING:
    from include.spec.project import ProjectSpec

SCORE, VERSION, DIGEST = "score", "model_version", "model_digest"
_NOTE = "Observed afterwards on the scored rows; no gate and no promotion depends on it."


def plan(context: StepContext) -> Plan:
    """
    The scoring of one partition, named by its features and by the champion as of its beginning.

    :raises NothingToDoError: if there is no champion, or each one was fitted on the partition or later ones.
    :raises DataRejectedError: if the partition has no features, or the champion's bundle or ledger is damaged.
    """
    champion = champion_as_of(context)
    features = _features(context)
    # The sealed files of that version, not a request to the server, which may serve another one by now.
    model = BatchModel(sealed_bundle(context.stores.objects, context.spec.name, champion.digest))
    state = ModelState(
        name=champion.model,
        run_id=model.bundle.manifest.run_id,
        version=champion.version,
        digest=champion.digest,
    )
    spec = context.spec
    return Plan(
        inputs=(features, state),
        parameters={
            "key": list(spec.base.key),
            "prediction_time": spec.feature_set.prediction_time,
            "target": spec.target.name,
            "evaluation": {
                "bootstrap": spec.evaluation.bootstrap,
                "confidence": spec.evaluation.confidence,
                "seed": spec.model.seed,
            },
        },
        work=partial(_work, context, champion, features, model),
    )


def _features(context: StepContext) -> TableState:
    spec, partition = context.spec, context.command.partition
    name = table_name(spec.name, Layer.FEATURES, spec.feature_set.table)
    state = context.stores.tables.state(name, partition)
    cure = f"Run 'features' for partition {partition} first."
    if state is None:
        raise DataRejectedError(f"Table '{name}' has no partition {partition}. {cure}")
    if context.receipts.sealed(StepName.FEATURES, state) is None:
        message = f"Partition {partition} of '{name}' holds rows ({state.digest}) that no features receipt names."
        raise DataRejectedError(f"{message} {cure}")
    return state


def _work(context: StepContext, champion: ChampionAsOf, features: TableState, model: BatchModel, identity: str) -> Work:
    rows = context.stores.tables.read(features.name, features.partition, version=features.version)
    model.check(features.name, rows.column_names)
    with capped_threads(thread_count(context)):
        scores = model.scores(rows)
        observed = _observed(context.spec, rows, scores)
    spec = context.spec
    stamp = {"step": context.command.step.value, "run": context.command.run, "identity": identity}
    sealed = context.stores.tables.write(
        table_name(spec.name, Layer.PREDICTIONS, spec.feature_set.name),
        features.partition,
        _predictions(spec, rows, scores, champion),
        stamp=stamp,
    )
    mean = float(scores.mean()) if len(scores) else None
    context.events.emit("scored", rows=len(scores), mean_score=mean, model_version=champion.version)
    if mean is not None:
        labels = MetricLabels(spec.name, spec.model.name)
        context.stores.metrics.gauge(MetricName.SCORE_MEAN, labels, mean)
    counts = {"rows": sealed.row_count}
    if observed is not None:
        counts["positive"] = int(_target(spec, rows).sum())
    results = ScoreResults(
        champion=champion.described(),
        rows=sealed.row_count,
        mean_score=None if mean is None else round(mean, 6),
        observed=observed,
    )
    return Work(outputs=(sealed,), row_counts=counts, results=results)


def _predictions(spec: "ProjectSpec", rows: pa.Table, scores: Numbers, champion: ChampionAsOf) -> pa.Table:
    """Key, prediction time, score, and which model predicted; one row per row of the features table, in its order."""
    names = dict.fromkeys([*spec.base.key, spec.feature_set.prediction_time])
    columns = {name: rows.column(name) for name in names}
    columns[SCORE] = pa.array(scores)
    columns[VERSION] = pa.array(np.full(len(scores), champion.version, dtype=np.int64))
    columns[DIGEST] = pa.array([champion.digest] * len(scores), pa.string())
    return pa.table(columns)


def _observed(spec: "ProjectSpec", rows: pa.Table, scores: Numbers) -> ObservedQuality | None:
    """Metrics of the scores against the target; None if the target of a row is not known yet."""
    name = spec.target.name
    if rows.num_rows == 0 or name not in rows.column_names or rows.column(name).null_count:
        return None
    target = _target(spec, rows)
    moments = rows.column(spec.feature_set.prediction_time).to_pandas()
    resampling = Resampling.of_days(
        days(moments, spec.timezone),
        resamples=spec.evaluation.bootstrap,
        confidence=spec.evaluation.confidence,
        seed=spec.model.seed,
    )
    positive = int(target.sum())
    return ObservedQuality(
        target=name,
        rows=len(target),
        positive=positive,
        positive_rate=round(positive / len(target), 6),
        roc_auc=ModelMetrics.of(target, scores, resampling).measured["roc_auc"].rounded(),
        intervals=resampling.described(),
        note=_NOTE,
    )


def _target(spec: "ProjectSpec", rows: pa.Table) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    target: np.ndarray[tuple[int], np.dtype[np.int64]] = rows.column(spec.target.name).to_numpy().astype(np.int64)
    return target
