"""A small project on real stores in a folder, for the features step: buses that wait, stops, and weather reports."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml

import include.projects
from include.contract import settings
from include.contract.command import StepCommand
from include.contract.layout import Layer, receipt_key, table_name
from include.contract.receipt import Receipt, State, TableState, canonical_json
from include.contract.step_names import StepName
from include.runtime.context import StepContext
from include.runtime.ending import Ending
from include.runtime.events import EventLog
from include.runtime.runner import run_step
from include.spec.load import parse_project
from include.spec.project import ProjectSpec
from include.steps.features.sources import SourceRows, arrow_column
from include.stores.installation import Stores
from tests.support.step_results import least

PROJECT, PARTITION = "buses", "2024-03"
FEATURES = '''"""Features of buses."""

import pandas as pd


def build(frame):
    return features(frame, pd.Timedelta(0))


def build_an_hour_too_far(frame):
    return features(frame, pd.Timedelta(hours=1))


def build_with_hindsight(frame):
    return features(frame, pd.Timedelta(0)).assign(zone=frame["wait"])


def build_with_tomorrows_weather(frame):
    later = frame["rain"] if "rain" in frame else frame["weather_rain"].shift(-40)
    return features(frame, pd.Timedelta(0)).assign(rain=later)


def build_raising(frame):
    raise ValueError(f"the wait of 4711 minutes in {frame.iloc[0]}")


def build_failing_without_hindsight(frame):
    if frame["wait"].tail(20).isna().all():
        raise KeyError("wait")
    return features(frame, pd.Timedelta(0))


def build_list(frame):
    return [1]


def build_fewer(frame):
    return features(frame, pd.Timedelta(0)).iloc[:-3]


def build_doubled(frame):
    rows = features(frame, pd.Timedelta(0))
    return pd.concat([rows, rows.head(2)])


def build_shuffled(frame):
    return features(frame, pd.Timedelta(0)).sample(frac=1.0, random_state=1).reset_index(drop=True)


def build_renamed(frame):
    return features(frame, pd.Timedelta(0)).rename(columns={"recent_wait": "recent_waits"})


def build_more(frame):
    return features(frame, pd.Timedelta(0)).assign(further=1.0)


def build_infinite(frame):
    return features(frame, pd.Timedelta(0)).assign(zone=float("inf"))


def build_text(frame):
    return features(frame, pd.Timedelta(0)).assign(zone="north")


def build_writing(frame):
    frame["wait"] = 0.0
    return features(frame, pd.Timedelta(0))


def features(frame, too_far):
    left = frame[["gone", "wait"]].dropna().sort_values("gone")
    left["running"] = left["wait"].expanding().mean()
    asked = (frame["predicted"] + too_far).dt.as_unit("us").rename("asked").reset_index()
    asked = asked.sort_values("asked", kind="stable")
    recent = pd.merge_asof(asked, left, left_on="asked", right_on="gone").set_index("index")["running"]
    return pd.DataFrame(
        {
            "id": frame["id"],
            "stop": frame["stop"],
            "zone": frame["stops_zone"],
            "rain": frame["weather_rain"],
            "line": frame["line"],
            "minute": frame["at"].dt.minute,
            "recent_wait": recent.reindex(frame.index),
            "fixed": 7,
        }
    )
'''
SPEC = """
name: buses
title: Waiting buses
description: Buses that wait or not.
owner: {team: buses, email: buses@example.com}
timezone: UTC
grain: month
start: 2024-01-01
schedule: {data: "0 0 1 * *"}
sources:
  buses:
    description: One row per bus.
    format: csv
    location: file:///nowhere/buses.csv
    key: [id]
    event_time: at
    rows: {at_least: 1, at_most: 100000}
    columns:
      id: {type: int64, meaning: Number of the ride.}
      at: {type: timestamp, meaning: When the bus should leave.}
      stop: {type: string, meaning: Where it leaves.}
      line: {type: int64, meaning: Number of the line.}
      wait: {type: float64, meaning: Minutes until it left., known: gone}
      driver: {type: string, meaning: Who drove it., known: gone}
    times:
      predicted: {from: at, offset: -2h}
      report: {from: predicted, offset: -1h, floor: 1h}
      gone: {from: at, add_minutes: wait, when_null: 24h}
  stops:
    description: One row per stop.
    format: csv
    location: file:///nowhere/stops.csv
    key: [stop]
    rows: {at_least: 1, at_most: 1000}
    columns:
      stop: {type: string, meaning: Name of the stop.}
      zone: {type: float64, meaning: Number of its zone.}
  weather:
    description: One row per hour.
    format: csv
    location: file:///nowhere/weather.csv
    key: [hour]
    event_time: hour
    rows: {at_least: 1, at_most: 1000}
    known: published
    columns:
      hour: {type: timestamp, meaning: The hour of the report.}
      rain: {type: float64, meaning: Rain in the hour.}
    times:
      published: {from: hour, offset: 1h}
feature_set:
  name: waiting
  version: 2
  owner: buses
  description: What is known of a bus two hours before.
  base: buses
  prediction_time: predicted
  function: features:build
  joins:
    - {source: stops, "on": {stop: stop}, unmatched_at_most: 0.1}
    - {source: weather, "on": {report: hour}, unmatched_at_most: 0.1}
  columns:
    stop: {type: string, meaning: Where it leaves., of: [stop]}
    zone: {meaning: Number of the zone., of: [stops.zone]}
    rain: {meaning: Rain in the last reported hour., of: [weather.rain]}
    minute: {type: int64, meaning: Minute of the hour., of: [at]}
    recent_wait: {meaning: Mean wait of the buses that left., history_of: [gone, wait]}
    fixed: {type: int64, meaning: Always the same., of: [id]}
    line: {type: int64, meaning: Number of the line., of: [line]}
  selection: {relevance_at_least: 0.001, nulls_at_most: 0.9}
target: {name: late, meaning: It waits ten minutes., column: wait, at_least: 10, when_null: false}
model:
  name: waiting
  description: Trees.
  function: model:build
  search: {trials: 1, seconds: 1s}
split: {window: 3}
evaluation:
  gates: [{metric: roc_auc, at_least: 0.5}]
  slices: [stop, line]
execution:
  default: {cpu: 1, memory: 1Gi, timeout: 1m, retries: 0, retry_delay: 1s}
serving: {drain: 1s}
"""


def buses_spec(**changes: Any) -> ProjectSpec:
    """The project's spec; ``feature_set__function="features:other"`` changes a part of it."""
    document = yaml.safe_load(SPEC)
    for path, value in changes.items():
        part = document
        *parents, last = path.split("__")
        for name in parents:
            part = part[int(name) if isinstance(part, list) else name]
        part[int(last) if isinstance(part, list) else last] = value
    return parse_project(yaml.safe_dump(document, sort_keys=False), Path("include/projects/buses/project.yaml"))


def bus_rows(count: int = 1500, seed: int = 5) -> dict[str, pd.DataFrame]:
    """One month of each source; buses leave every 20 minutes, and wait the longer the later in the day."""
    random = np.random.default_rng(seed)
    at = pd.Timestamp("2024-03-03", tz="UTC") + pd.to_timedelta(np.arange(count) * 20, unit="m")
    at = at.as_unit("us")
    wait = np.round(random.gamma(2.0, 2.0 + at.hour.to_numpy() / 4.0))
    wait[random.random(count) < 0.05] = np.nan
    stop = random.choice(["north", "south", "west"], count)
    hours = pd.date_range("2024-03-02", periods=24 * 24, freq="h", tz="UTC", unit="us")
    buses = {"id": np.arange(count), "at": at, "stop": stop, "line": random.integers(1, 9, count), "wait": wait}
    return {
        "buses": pd.DataFrame(buses).assign(driver=pd.Series("ann", range(count)).mask(np.isnan(wait))),
        "stops": pd.DataFrame({"stop": ["north", "south", "west"], "zone": [1.0, 2.0, 3.0]}),
        "weather": pd.DataFrame({"hour": hours, "rain": np.round(random.random(len(hours)), 3)}),
    }


def arrow_table(frame: pd.DataFrame) -> pa.Table:
    """The rows as tables hold them."""
    return pa.table({name: arrow_column(frame[name]) for name in frame.columns})


def source_rows(spec: ProjectSpec, rows: dict[str, pd.DataFrame]) -> dict[str, SourceRows]:
    """The rows as the features step takes them from tables."""
    return {name: SourceRows.of(name, spec.sources[name], arrow_table(frame)) for name, frame in rows.items()}


@dataclass
class Buses:
    """The project on stores in a folder, and the step's log."""

    folder: Path
    spec: ProjectSpec = field(default_factory=buses_spec)
    log: io.StringIO = field(default_factory=io.StringIO)

    @property
    def stores(self) -> Stores:
        return Stores(
            environment={
                settings.TABLES_URI: (self.folder / "tables").as_uri(),
                settings.OBJECTS_URI: (self.folder / "objects").as_uri(),
            }
        )

    def validated(self, rows: dict[str, pd.DataFrame] | None = None, *, with_receipt: bool = True) -> None:
        """Seal rows as validation does, with its receipt."""
        states = []
        for name, frame in (rows or bus_rows()).items():
            table = arrow_table(frame)
            validated = table_name(PROJECT, Layer.VALIDATED, name)
            states.append(self.stores.tables.write(validated, PARTITION, table, stamp={}))
        if with_receipt:
            self._write_receipt(tuple(states))

    def _write_receipt(self, states: tuple[TableState, ...]) -> None:
        outputs: tuple[State, ...] = states
        identity = "".join(state.digest[-4:] for state in states)
        receipt = Receipt(
            identity=identity,
            step=StepName.VALIDATE,
            project=PROJECT,
            subject=PARTITION,
            partition=PARTITION,
            run="by-hand",
            attempt=1,
            parameters={},
            inputs=(),
            outputs=outputs,
            row_counts={},
            results=least("validate"),
            code_digest="sha256:code",
            started_at=datetime.now(UTC),
            finished_at=datetime.now(UTC),
            host="here",
        )
        key = receipt_key(PROJECT, StepName.VALIDATE, PARTITION, identity)
        self.stores.objects.create(key, canonical_json(receipt.model_dump(mode="json")))

    def context(self, **changes: Any) -> StepContext:
        command = StepCommand(step=StepName.FEATURES, project=PROJECT, partition=PARTITION, run="by-hand")
        spec = buses_spec(**changes) if changes else self.spec
        return StepContext(
            command=command, spec=spec, stores=self.stores, events=EventLog(self.log), code="sha256:code"
        )

    def run(self, **changes: Any) -> Ending:
        """Run the features step; the changes are those of :func:`buses_spec`."""
        return run_step(self.context(**changes))

    def receipt(self, ending: Ending) -> Receipt:
        """The receipt of a step that ended well."""
        if ending.error is not None:
            raise ending.error
        return self.context().receipts.receipt(str(ending.outcome.receipt))

    def features(self) -> pa.Table:
        """What the features table holds."""
        return self.stores.tables.read(table_name(PROJECT, Layer.FEATURES, "waiting_v2"), PARTITION)

    def nothing_published(self) -> bool:
        """Whether there is neither a features table nor a receipt of the step."""
        stores = self.stores
        written = stores.tables.partitions(table_name(PROJECT, Layer.FEATURES, "waiting_v2"))
        return not written and not stores.objects.list(f"receipts/{PROJECT}/features/")

    def events(self, event: str) -> list[dict[str, Any]]:
        """Events of one name in the step's log."""
        lines = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]


@contextmanager
def buses_project(folder: Path) -> Iterator[None]:
    """Make ``include.projects.buses`` importable while the block runs."""
    home = folder / "include" / "projects"
    (home / PROJECT).mkdir(parents=True)
    (home / PROJECT / "__init__.py").write_text('"""Buses."""\n')
    (home / PROJECT / "features.py").write_text(FEATURES)
    include.projects.__path__.append(str(home))
    try:
        yield
    finally:
        include.projects.__path__.remove(str(home))
        for name in [name for name in sys.modules if name.startswith(f"include.projects.{PROJECT}")]:
            del sys.modules[name]
