"""A small project with stores in memory, from which models are trained in a second: trips that are late or not."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

import include.projects
from include.contract.command import StepCommand
from include.contract.layout import Layer, receipt_key, table_name
from include.contract.receipt import Receipt, State, TableState, canonical_json, identity_of
from include.contract.step_names import StepName
from include.modeling.feature_selection import evidence
from include.runtime.context import StepContext
from include.runtime.ending import Ending
from include.runtime.events import EventLog
from include.runtime.runner import run_step
from include.spec.load import parse_project
from include.spec.project import ProjectSpec
from include.stores.installation import Stores
from include.stores.objects.memory import MemoryObjects
from include.stores.registry.memory import MemoryRegistry
from include.stores.registry.protocol import RegistryStore
from include.stores.tables.memory import MemoryTables
from tests.support.step_results import least

PROJECT = "toy"
PLACES = ("north", "south", "west")
MODEL = '''"""The toy's model."""

from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder


def build(parameters):
    chosen = dict(parameters)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    texts = make_column_selector(dtype_include=["object", "string"])
    prepare = ColumnTransformer([("texts", encoder, texts)], remainder="passthrough")
    trees = HistGradientBoostingClassifier(random_state=chosen.pop("seed"), early_stopping=False, **chosen)
    return Pipeline([("prepare", prepare), ("trees", trees)])


def build_raising(parameters):
    raise ValueError("the value 4711 of a row")


def build_list(parameters):
    return ["no", "model"]


class _Unfit:
    def fit(self, features, target):
        raise KeyError(str(features.iloc[0]))

    def predict_proba(self, features):
        return None


def build_unfit(parameters):
    return _Unfit()


class _Own(HistGradientBoostingClassifier):
    pass


def build_own(parameters):
    return Pipeline([("drop", ColumnTransformer([("size", "passthrough", ["size"])])), ("own", _Own(max_iter=2))])
'''
SPEC = """
name: toy
title: Late trips
description: Trips that are late or not.
owner: {team: toys, email: toys@example.com}
timezone: UTC
grain: month
start: 2024-01-01
end: 2025-01-01
schedule: {data: "0 0 1 * *"}
sources:
  trips:
    description: Trips.
    format: csv
    location: file:///nowhere/trips.csv
    key: [id]
    event_time: at
    rows: {at_least: 1, at_most: 100000}
    columns:
      id: {type: int64, meaning: Number of the trip.}
      at: {type: timestamp, meaning: When it begins.}
      place: {type: string, meaning: Where it begins.}
      size: {type: float64, meaning: How large it is.}
      delay: {type: float64, meaning: Minutes late., known: done}
      done: {type: timestamp, meaning: When it ended., known: done}
feature_set:
  name: lateness
  version: 1
  owner: toys
  description: What is known of a trip.
  base: trips
  prediction_time: at
  function: features:build
  columns:
    place: {type: string, meaning: Where it begins., of: [place]}
    size: {meaning: How large it is., of: [size]}
    riders: {type: int64, meaning: How many ride along., of: [id]}
    gap: {meaning: Often missing., of: [size]}
    fixed: {type: int64, meaning: Always the same., of: [id]}
    noise: {meaning: Says nothing., of: [id]}
  selection: {relevance_at_least: 0.015, nulls_at_most: 0.9}
target: {name: late, meaning: It is late., column: delay, at_least: 10, when_null: false}
model:
  name: lateness
  description: Trees.
  function: model:build
  seed: 3
  parameters: {max_iter: 12, learning_rate: 0.2}
  search:
    trials: 2
    seconds: 600s
    space: {max_leaf_nodes: {choices: [7, 3]}, learning_rate: {low: 0.1, high: 0.4, log: true}}
  golden_rows: 6
split: {window: 5, validation: 1, test: 1}
evaluation:
  gates:
    - {metric: roc_auc, at_least: 0.6}
    - {metric: roc_auc, better_than: baseline, by: 0.02}
    - {metric: roc_auc, better_than: champion, by: -0.02}
  slices: [place]
  slice_gates: [{metric: roc_auc, at_least: 0.5, rows_at_least: 50}]
  bootstrap: 40
execution:
  default: {cpu: 1, memory: 1Gi, timeout: 10m, retries: 1, retry_delay: 1s}
serving: {drain: 5s}
"""


def toy_spec(**changes: object) -> ProjectSpec:
    """The toy's spec; ``model__function="model:other"`` changes a part of it."""
    spec = parse_project(SPEC, Path("include/projects/toy/project.yaml"))
    for path, value in changes.items():
        spec = _changed(spec, path.split("__"), value)
    return spec


def _changed(model: Any, path: list[str], value: object) -> Any:
    new = value if len(path) == 1 else _changed(getattr(model, path[0]), path[1:], value)
    return model.model_copy(update={path[0]: new})


def toy_rows(partition: str, count: int = 400, seed: int = 0) -> pd.DataFrame:
    """One row per trip of a month: key, time, slices, features and target, as the features step writes them."""
    start = datetime.strptime(partition, "%Y-%m").replace(tzinfo=UTC)
    random = np.random.default_rng([seed, *partition.encode()])
    place, size = random.choice(PLACES, count), random.normal(size=count)
    lean = size + np.where(place == "north", 1.0, 0.0) + random.normal(size=count) * 0.8
    return pd.DataFrame(
        {
            "id": np.arange(count),
            "at": pd.to_datetime([start + timedelta(minutes=60 * 24 * 27 * row / count) for row in range(count)]),
            "place": place,
            "size": size,
            "riders": random.integers(0, 5, count) + (lean > 0.9),
            "gap": np.where(random.random(count) < 0.3, np.nan, lean + random.normal(size=count)),
            "fixed": np.full(count, 7),
            "noise": random.normal(size=count),
            "late": (lean > 0.9).astype(np.int64),
        }
    )


def as_table(rows: pd.DataFrame) -> pa.Table:
    """Rows as the table store takes them; moments in UTC."""
    columns = {}
    for name in rows.columns:
        values = rows[name]
        if isinstance(values.dtype, pd.DatetimeTZDtype):
            plain = values.dt.tz_convert(None).to_numpy()
            columns[name] = pa.array(plain, type=pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC"))
        else:
            columns[name] = pa.array(values, from_pandas=True)
    return pa.table(columns)


@dataclass
class World:
    """Stores in memory, and the step's log."""

    registry: RegistryStore = field(default_factory=MemoryRegistry)
    tables: MemoryTables = field(default_factory=MemoryTables)
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    log: io.StringIO = field(default_factory=io.StringIO)
    spec: ProjectSpec = field(default_factory=toy_spec)

    @property
    def table(self) -> str:
        return table_name(PROJECT, Layer.FEATURES, self.spec.feature_set.table)

    def fill(self, *partitions: str, count: int = 400) -> None:
        for partition in partitions:
            self.add(partition, toy_rows(partition, count))

    def add(self, partition: str, rows: pd.DataFrame) -> TableState:
        """Seal rows of a partition with receipts of features and validate."""
        validated = self.validated(partition, rows)
        self.receipt(StepName.VALIDATE, partition, (), (validated,))
        return self.add_features(partition, rows, validated)

    def validated(self, partition: str, rows: pd.DataFrame) -> TableState:
        plain = as_table(rows[["id", "size"]])
        return self.tables.write(table_name(PROJECT, Layer.VALIDATED, "trips"), partition, plain, stamp={})

    def add_features(self, partition: str, rows: pd.DataFrame, validated: TableState) -> TableState:
        sealed = self.tables.write(self.table, partition, as_table(rows), stamp={})
        names, target = list(self.spec.feature_names), rows["late"].to_numpy()
        selection = evidence(rows[names], target, self.spec.feature_set.selection, self.spec.model.seed)
        self.receipt(StepName.FEATURES, partition, (validated,), (sealed,), selection=selection)
        return sealed

    def receipt(
        self,
        step: StepName,
        partition: str,
        inputs: tuple[State, ...],
        outputs: tuple[State, ...],
        **results: Any,
    ) -> None:
        identity = identity_of(
            step=step, project=PROJECT, subject=partition, parameters={}, inputs=(*inputs, *outputs), code="c"
        )
        receipt = Receipt(
            identity=identity,
            step=step,
            project=PROJECT,
            subject=partition,
            partition=partition,
            run="by-hand",
            attempt=1,
            parameters={},
            inputs=inputs,
            outputs=outputs,
            row_counts={},
            results=least(step, **results),
            code_digest="c",
            started_at=datetime.now(UTC),
            finished_at=datetime.now(UTC),
            host="here",
        )
        self.objects.create(
            receipt_key(PROJECT, step.value, partition, identity), canonical_json(receipt.model_dump(mode="json"))
        )

    def context(
        self, step: StepName, partition: str = "2024-05", *, run: str = "r1", attempt: int = 1, **options: str
    ) -> StepContext:
        command = StepCommand(
            step=step,
            project=PROJECT,
            partition=partition,
            run=run,
            attempt=attempt,
            options=tuple(options.items()),
        )
        stores = Stores(environment={})
        stores.__dict__.update(tables=self.tables, objects=self.objects, registry=self.registry)
        return StepContext(command=command, spec=self.spec, stores=stores, events=EventLog(self.log), code="code")

    def run(self, step: StepName, partition: str = "2024-05", **options: Any) -> Ending:
        return run_step(self.context(step, partition, **options))

    def done(self, step: StepName, partition: str = "2024-05", **options: Any) -> Receipt:
        """Run a step that must end well."""
        ending = self.run(step, partition, **options)
        if ending.error is not None:
            raise ending.error
        return self.context(step, partition).receipts.receipt(str(ending.outcome.receipt))

    def events(self, event: str) -> list[dict[str, Any]]:
        """Events of one name in the step's log."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    def failing(self, step: StepName, partition: str = "2024-05", **options: Any) -> Exception:
        """Run a step that must end in an error of the tree."""
        error = self.run(step, partition, **options).error
        if error is None:
            message = "The step ended well."
            raise RuntimeError(message)
        return error


MONTHS = ("2024-01", "2024-02", "2024-03", "2024-04", "2024-05")


@contextmanager
def toy_project(folder: Path) -> Iterator[None]:
    """Make ``include.projects.toy`` importable while the block runs."""
    home = folder / "include" / "projects"
    (home / PROJECT).mkdir(parents=True)
    (home / PROJECT / "__init__.py").write_text('"""The toy."""\n')
    (home / PROJECT / "model.py").write_text(MODEL)
    (home / PROJECT / "broken.py").write_text("def build(parameters):\n    return 1 +\n")
    include.projects.__path__.append(str(home))
    try:
        yield
    finally:
        include.projects.__path__.remove(str(home))
        for name in [name for name in sys.modules if name.startswith(f"include.projects.{PROJECT}")]:
            del sys.modules[name]
