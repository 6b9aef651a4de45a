"""
The train step: one window of partitions, one fitted Pipeline, one finished run in the model registry.

The window is split by time into train, validation and test. The search fits on train and compares on validation; the
best parameters are then fitted on both. The test is the holdout: neither fit nor search ever reads it; only the golden
rows are taken from it. Nothing starts without the receipts that name exactly the rows that are read.

**The MLflow run**, in the experiment of the project's name, has the artifacts ``model`` (MLflow's format:
``model.skops``, ``MLmodel``, …), ``golden/golden.json`` and ``training/training.json``.

**The receipt**, which evaluate and package read:

- ``inputs``: the features table's partitions of the window, oldest first, all of one version.
- ``outputs``: one ``ModelState``: the registered model's name, the run's id, and the digest of ``model.skops``.
- ``row_counts``: ``train``, ``validation``, ``test``.
- ``results``: :class:`~include.contract.results.TrainResults`.
"""

from functools import partial

from include.contract.receipt import Json
from include.contract.results import FeaturesResults, TrainingWindow
from include.errors import DataRejectedError
from include.modeling.feature_selection import dropped_features
from include.modeling.metrics import point_metrics
from include.modeling.pipeline import ModelFunction
from include.modeling.rows import Rows, model_types, read_rows
from include.runtime.context import Plan, StepContext, Work
from include.runtime.threads import capped_threads, thread_count
from include.steps.train.golden import golden_sample
from include.steps.train.logged_run import LoggedRun, model_unchanged
from include.steps.train.model_log import Fitted, Stopwatch, Task, log_training
from include.steps.train.provenance import ValidatedPartition, validated_partitions
from include.steps.train.search import Metrics, Parameters, Trial, run_search
from include.steps.train.window import OPTION, training_window


def plan(context: StepContext) -> Plan:
    """
    The training of one window, named by the rows of its partitions and by all of the spec that it depends on.

    :raises ConfigurationError: if the window is malformed, too short, or outside of the project's time.
    :raises DataRejectedError: if a partition does not exist, or no receipt of features and validation names its rows.
    """
    window = training_window(context.spec, context.partition, context.options.get(OPTION))
    partitions = validated_partitions(context, window.partitions)
    return Plan(
        inputs=tuple(partition.state for partition in partitions),
        parameters=_parameters(context, window),
        work=partial(_work, context, window, partitions),
        still_there=lambda outputs: model_unchanged(context.stores.registry, outputs),
    )


def _work(
    context: StepContext, window: TrainingWindow, partitions: tuple[ValidatedPartition, ...], identity: str
) -> Work:
    run = LoggedRun(context, identity)
    # An attempt may have been killed between the end of its MLflow run and its receipt: its model is taken over.
    done = run.finished()
    if done is not None:
        return done
    watch = Stopwatch()
    # Everything that can be refused is refused before the run exists: it would be left behind as failed in MLflow.
    task = _task(context, window, partitions)
    watch.lap("read")
    run_id = run.start()
    context.events.emit("run started", run_id=run_id, rows=len(task.train), features=len(task.kept))
    with run.failing(run_id):
        with capped_threads(thread_count(context)):
            fitted = _fit(context, task, watch)
        work = log_training(context, task, fitted, run_id, watch)
        return run.finish(run_id, work)


def _task(context: StepContext, window: TrainingWindow, partitions: tuple[ValidatedPartition, ...]) -> Task:
    spec = context.spec
    model = ModelFunction(spec)
    states = {partition.state.partition: partition.state for partition in partitions}
    train, validation = (
        read_rows(context.stores.tables, [states[name] for name in names], spec.feature_names, spec.target.name)
        for names in (window.train, window.validation)
    )
    _refuse_one_class(context, train, "train", window.train)
    _refuse_one_class(context, validation, "validation", window.validation)
    # Only the train partitions: evidence of validation or test would choose features by the rows that measure them.
    fitted = [
        partition.features.results_of(FeaturesResults).selection
        for partition in partitions
        if partition.state.partition in window.train
    ]
    dropped = dropped_features(fitted, spec.feature_set.selection)
    reasons = {one.feature: one.why for one in dropped}
    kept = tuple(name for name in spec.feature_names if name not in reasons)
    if not kept:
        first = "; ".join(f"{feature}: {why}" for feature, why in list(reasons.items())[:3])
        message = f"All {len(reasons)} features are dropped in partitions {window.train[0]} to {window.train[-1]}: "
        raise DataRejectedError(f"{message}{first}. See feature_set.selection of the spec.")
    for feature, why in reasons.items():
        context.events.emit("feature dropped", feature=feature, why=why)
    return Task(window, partitions, kept, dropped, train.only(kept), validation.only(kept), model)


def _refuse_one_class(context: StepContext, rows: Rows, role: str, partitions: tuple[str, ...]) -> None:
    ones = int(rows.target.sum())
    if 0 < ones < len(rows):
        return
    name, span = context.spec.target.name, f"{partitions[0]} to {partitions[-1]}"
    what = f"is {'yes' if ones else 'no'} in all {len(rows)} rows" if len(rows) else "has no rows"
    message = f"Target '{name}' {what} of the {role} partitions {span}: nothing can be learned from one class."
    raise DataRejectedError(f"{message} Check the source and target.at_least, or choose another window.")


def _fit(context: StepContext, task: Task, watch: Stopwatch) -> Fitted:
    spec, model = context.spec, task.model

    def measure(parameters: Parameters) -> Metrics:
        fitted = model.fitted(parameters, task.train.features, task.train.target)
        return point_metrics(task.validation.target, model.probabilities(fitted, task.validation.features)[:, 1])

    def report(trial: Trial) -> None:
        score = trial.metrics[spec.model.search.metric]
        context.events.emit("trial done", trial=trial.number, score=score, seconds=round(trial.seconds, 2))

    search = run_search(spec.model, measure, on_trial=report)
    watch.lap("search")
    if search.budget_hit:
        context.events.warn(
            "the search ran out of time; the result depends on the machine",
            trials=len(search.trials),
            planned=search.planned,
        )
    # The search is over: the newest rows before the holdout are worth more in the fit than for a comparison.
    fit = Rows.joined(task.train, task.validation)
    final = model.fitted(search.best.parameters, fit.features, fit.target)
    types = model_types(fit.features)
    watch.lap("fit")
    golden = golden_sample(
        _test_rows(context, task).features, types, count=spec.model.golden_rows, seed=spec.model.seed
    )
    predictions = model.probabilities(final, golden)
    watch.lap("golden")
    return Fitted(search, final, types, golden, predictions)


def _test_rows(context: StepContext, task: Task) -> Rows:
    states = [one.state for one in task.partitions if one.state.partition in task.window.test]
    return read_rows(context.stores.tables, states, task.kept, context.spec.target.name)


def _parameters(context: StepContext, window: TrainingWindow) -> Json:
    """The options and keys of the spec that the model depends on; part of the receipt's identity."""
    spec = context.spec
    return {
        "window": window.model_dump(mode="json"),
        "feature_set": {
            "table": spec.feature_set.table,
            "selection": spec.feature_set.selection.model_dump(mode="json"),
        },
        "features": list(spec.feature_names),
        "target": spec.target.model_dump(mode="json"),
        "model": spec.model.model_dump(mode="json", exclude={"description"}),
    }
