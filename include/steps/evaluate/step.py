"""
The evaluate step: the challenger against a naive baseline and the champion, on the same holdout.

The holdout is the test partitions of the training window; neither a fit nor the search has read them.

A gate that fails does not fail the step: its result is that the model is not to be promoted, and the steps that would
promote it skip.

**The receipt**, which package reads:

- ``inputs``: the train step's ``ModelState``; the champion's, if there is one (its digest is that of its bundle); the
  partitions of the features table in the test.
- ``outputs``: the model card as HTML and Markdown, and ``evaluation.json``, as ``ObjectState``.
- ``row_counts``: ``test``, ``positive``, ``fit`` (rows from which the baseline learned).
- ``results``: :class:`~include.contract.results.EvaluateResults`.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from include.contract.layout import report_key
from include.contract.measures import FeatureImportance
from include.contract.receipt import Json, ModelState, ObjectState, Receipt, TableState, canonical_json
from include.contract.results import EvaluateResults, ReportKind, TrainResults
from include.contract.step_names import StepName
from include.errors import DataRejectedError
from include.modeling.intervals import ModelMetrics, Resampling
from include.modeling.metrics import Numbers, calibration
from include.modeling.slices import by_column, sliced
from include.runtime.context import Plan, StepContext, Work
from include.runtime.threads import capped_threads, thread_count
from include.spec.project import ProjectSpec
from include.steps.evaluate.baseline import Baseline
from include.steps.evaluate.card import Card, html_card, markdown_card
from include.steps.evaluate.contenders import (
    Contender,
    cannot_compare,
    champion_to_compare,
    fitted_test_partitions,
    load_challenger,
    load_champion,
)
from include.steps.evaluate.gates import Comparison, evaluate_gates
from include.steps.evaluate.holdout import Holdout, fitted_groups, read_holdout
from include.steps.evaluate.importance import permutation_importance
from include.stores.metrics.names import MetricLabels, MetricName

REPORTS: Mapping[ReportKind, str] = {"html": "model_card.html", "markdown": "model_card.md", "json": "evaluation.json"}
ARTIFACT = "evaluation"


@dataclass(frozen=True)
class Challenge:
    """A model to evaluate, the champion to compare it with, and the rows for both."""

    train: Receipt
    trained: TrainResults
    challenger: ModelState
    champion: ModelState | None
    fit: tuple[TableState, ...]
    """Partitions that the challenger was fitted on."""
    test: tuple[TableState, ...]
    """Partitions of the holdout, oldest first."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The challenger's features, in its order."""
        return self.trained.features.kept

    @property
    def test_names(self) -> tuple[str, ...]:
        """The test partitions."""
        return tuple(state.partition for state in self.test)


def plan(context: StepContext) -> Plan:
    """
    The evaluation of the model that this run trained.

    :raises DataRejectedError: if the run trained none, or the test partitions were changed since the training.
    """
    challenge = _challenge(context)
    states = (challenge.challenger, challenge.champion, *challenge.test)
    return Plan(
        inputs=tuple(state for state in states if state is not None),
        parameters=_parameters(context, challenge),
        work=partial(_work, context, challenge),
    )


def _challenge(context: StepContext) -> Challenge:
    command = context.command
    train = context.receipts.of_run(StepName.TRAIN, command.run, command.subject)
    if train is None:
        message = f"Run '{command.run}' trained no model for {command.subject}. Run 'train' first with the same --run."
        raise DataRejectedError(message)
    models = [state for state in train.outputs if isinstance(state, ModelState)]
    tables = [state for state in train.inputs if isinstance(state, TableState)]
    if len(models) != 1:
        raise DataRejectedError(f"The train receipt {train.identity} names {len(models)} models. Run 'train' again.")
    trained = train.results_of(TrainResults)
    names = trained.window.test
    test = tuple(state for state in tables if state.partition in names)
    for state in test:
        _check_unchanged(context, state)
    fit = tuple(state for state in tables if state.partition not in names)
    return Challenge(train, trained, models[0], champion_to_compare(context, models[0]), fit, test)


def _check_unchanged(context: StepContext, state: TableState) -> None:
    # Old versions of a table may be vacuumed, and a table may be restored from a backup with other contents.
    current = context.stores.tables.state(state.name, state.partition, version=state.version)
    if current is None or current.digest != state.digest:
        message = (
            f"Partition {state.partition} of {state.name} in version {state.version} is not what the model was trained "
            f"for ({state.digest}). Run 'features' and 'train' again."
        )
        raise DataRejectedError(message)


def _work(context: StepContext, challenge: Challenge, identity: str) -> Work:
    # BLAS and OpenMP start a thread for each core of the machine, not of the pod's limit.
    with capped_threads(thread_count(context)):
        card, counts = _evaluated(context, challenge)
    results = card.results(_report_keys(context, identity))
    sealed = _seal(context, card, results)
    _log(context, challenge, card)
    area = card.models["model"].measured["roc_auc"]
    context.events.emit("model evaluated", passed=card.passed, roc_auc=str(area), reasons=card.reasons)
    if area.value is not None:  # one class only has no ROC curve
        labels = MetricLabels(context.spec.name, context.spec.model.name)
        context.stores.metrics.gauge(MetricName.MODEL_ROC_AUC, labels, area.value)
    return Work(outputs=sealed, row_counts=counts, results=results)


def _evaluated(context: StepContext, challenge: Challenge) -> tuple[Card, dict[str, int]]:
    spec, tables = context.spec, context.stores.tables
    challenger = load_challenger(context, challenge.challenger, challenge.columns)
    rows = read_holdout(tables, challenge.test, spec)
    groups, fitted = fitted_groups(tables, challenge.fit, spec)
    baseline = Baseline.of(groups, fitted)
    resampling = _resampling(spec, rows)
    probabilities: dict[str, Numbers] = {
        "model": challenger.probabilities(rows.frame),
        "baseline": baseline.probabilities(rows.groups),
        "prior": Baseline.of(groups[[]], fitted).probabilities(rows.groups),
    }
    champion, absent = _champion(context, challenge, rows)
    if champion is not None:
        probabilities["champion"] = champion.probabilities(rows.frame)
    models = {name: ModelMetrics.of(rows.target, values, resampling) for name, values in probabilities.items()}
    comparisons = {
        name: _comparison(name, models, resampling, absent, passes_absent=challenge.champion is None)
        for name in ("baseline", "champion")
    }
    slices = sliced(rows.groups, rows.target, probabilities["model"], resampling)
    card = Card(
        spec=spec,
        train=challenge.train,
        models=models,
        comparisons=comparisons,
        gates=evaluate_gates(spec.evaluation, models["model"].measured, comparisons, slices),
        slices=by_column(slices),
        calibration=calibration(rows.target, probabilities["model"]),
        importance=_importance(challenger, rows, spec),
        intervals=resampling.described(),
        baseline=baseline.described(),
        champion=challenge.champion,
        champion_fitted_on=_fitted_on(context, challenge),
        test=challenge.test_names,
        target=rows.target,
        probabilities=probabilities,
    )
    return card, {"test": len(rows), "positive": int(rows.target.sum()), "fit": len(fitted)}


def _importance(challenger: Contender, rows: Holdout, spec: ProjectSpec) -> list[FeatureImportance]:
    features = rows.frame[list(challenger.columns)]
    return permutation_importance(features, rows.target, challenger.probabilities, spec.model.seed)


def _resampling(spec: ProjectSpec, rows: Holdout) -> Resampling:
    evaluation = spec.evaluation
    return Resampling.of_days(
        rows.days, resamples=evaluation.bootstrap, confidence=evaluation.confidence, seed=spec.model.seed
    )


def _champion(context: StepContext, challenge: Challenge, rows: Holdout) -> tuple[Contender | None, str]:
    if challenge.champion is None:
        return None, "there is no other model to compare with yet"
    champion = load_champion(context, challenge.champion)
    missing = champion.missing(rows.frame)
    if missing:
        why = cannot_compare(challenge.champion, missing, challenge.test[0].name)
        context.events.warn("the champion cannot be compared", reason=why)
        return None, why
    return champion, ""


def _fitted_on(context: StepContext, challenge: Challenge) -> tuple[str, ...]:
    if challenge.champion is None:
        return ()
    partitions = tuple(fitted_test_partitions(context, challenge.champion, challenge.test_names))
    if partitions:
        context.events.warn("the champion was fitted on test partitions", partitions=list(partitions))
    return partitions


def _comparison(
    name: str, models: Mapping[str, ModelMetrics], resampling: Resampling, absent: str, *, passes_absent: bool
) -> Comparison:
    if name not in models:
        return Comparison(name, None, {}, absent, passes_absent)
    return Comparison(name, models[name].measured, models["model"].better_by(models[name], resampling))


def _report_keys(context: StepContext, identity: str) -> dict[ReportKind, str]:
    command = context.command
    return {
        kind: report_key(command.project, command.step.value, command.subject, identity, name)
        for kind, name in REPORTS.items()
    }


def _seal(context: StepContext, card: Card, results: EvaluateResults) -> tuple[ObjectState, ...]:
    contents: dict[ReportKind, bytes] = {
        "html": html_card(card).encode(),
        "markdown": markdown_card(card).encode(),
        "json": canonical_json(results.model_dump(mode="json", exclude={"step", "reports"})),
    }
    return tuple(context.stores.objects.seal(key, contents[kind]) for kind, key in results.reports.items())


def _log(context: StepContext, challenge: Challenge, card: Card) -> None:
    """Log the evaluation to the MLflow run of the model, too."""
    # MLflow knows no intervals, so that their ends are metrics of their own.
    run_id, registry = challenge.challenger.run_id, context.stores.registry
    metrics = {
        f"{'test' if name == 'model' else name}.{metric}{end}": value
        for name, measured in card.models.items()
        for metric, interval in measured.measured.items()
        for end, value in (("", interval.value), (".low", interval.low), (".high", interval.high))
        if value is not None
    }
    registry.log_metrics(run_id, metrics)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / REPORTS["html"]).write_text(html_card(card), encoding="utf-8")
        (Path(folder) / REPORTS["markdown"]).write_text(markdown_card(card), encoding="utf-8")
        registry.log_files(run_id, Path(folder), ARTIFACT)


def _parameters(context: StepContext, challenge: Challenge) -> Json:
    """The keys of the spec that the evaluation depends on, besides model and rows; part of the receipt's identity."""
    spec = context.spec
    return {
        "evaluation": spec.evaluation.model_dump(mode="json"),
        "seed": spec.model.seed,
        "target": spec.target.name,
        "timezone": spec.timezone,
        "features": list(challenge.columns),
        # The baseline learns from these rows; they are no inputs, as the train step's receipt names them already.
        "fit": [state.digest for state in challenge.fit],
    }
