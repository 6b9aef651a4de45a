"""A small spec that is valid, and a function that makes it invalid in one place."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from include.spec.load import parse_project
from include.spec.project import ProjectSpec

PATH = Path("include/projects/shop/project.yaml")
_TEXT = """
name: shop
title: Late parcels
description: Parcels that come late.
owner: {team: parcels, email: parcels@example.com}
timezone: America/New_York
grain: month
start: 2013-01-01
end: 2014-01-01
schedule: {data: "0 0 1 * *"}
sources:
  parcels:
    description: Parcels.
    format: csv
    location: package://shop/parcels.csv.zip
    key: [id]
    event_time: ordered
    rows: {at_least: 10, at_most: 1000}
    columns:
      id: {type: int64, meaning: Number of the parcel.}
      ordered: {type: timestamp, meaning: When it was ordered.}
      shelf: {type: string, meaning: Where it lay.}
      weight: {type: float64, meaning: Weight in kilograms.}
      minutes: {type: float64, meaning: Minutes until it left., known: left, nulls_at_most: 0.1}
      late: {type: float64, meaning: Days late., known: arrived, nulls_at_most: 0.1}
    times:
      promised: {from: ordered, offset: 2d}
      asked: {from: ordered, offset: -1h}
      left: {from: ordered, add_minutes: minutes, when_null: 1d}
      arrived: {from: left, offset: 1d}
      day: {from: asked, floor: 1d}
    checks:
      - {rule: expect_column_values_to_be_between, column: weight, min_value: 0}
  weather:
    description: Weather.
    format: jsonl
    location: https://example.com/{partition}.jsonl
    key: [day]
    rows: {at_least: 1, at_most: 31}
    columns:
      day: {type: timestamp, meaning: Day of the report.}
      rain: {type: float64, meaning: Rain in millimetres.}
feature_set:
  name: lateness
  version: 2
  owner: parcels
  description: What is known of a parcel.
  base: parcels
  prediction_time: asked
  function: features:build
  joins:
    - {source: weather, "on": {day: day}, may_lose: 0.1}
  columns:
    weight: {meaning: Its weight., of: [weight]}
    rain: {meaning: Rain on the day., of: [weather.rain]}
    before: {meaning: How late others were., history_of: [late, arrived]}
target: {name: is_late, meaning: A day late or more., column: late, at_least: 1, when_null: false}
model:
  name: lateness
  description: Trees.
  function: model:build
  parameters: {depth: 3}
  search: {trials: 2, seconds: 60s, space: {depth: {choices: [2, 3]}, rate: {low: 0.1, high: 1.0}}}
split: {window: 6, validation: 1, test: 2}
evaluation:
  gates: [{metric: roc_auc, at_least: 0.6}]
  slices: [shelf]
execution:
  default: {cpu: 1, memory: 1Gi, timeout: 10m, retries: 2, retry_delay: 30s}
  steps:
    train: {cpu: 2, timeout: 1h}
serving: {drain: 5s}
"""


def document() -> dict[str, Any]:
    """The spec as YAML gives it."""
    loaded: dict[str, Any] = yaml.safe_load(_TEXT)
    return loaded


def changed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The document with values replaced by path, ``model.search.trials``; None takes the key out."""
    changed = deepcopy(document())
    for path, value in changes.items():
        *parents, last = path.split(".")
        parent: Any = changed
        for name in parents:
            parent = parent[int(name)] if isinstance(parent, list) else parent[name]
        key: Any = int(last) if isinstance(parent, list) else last
        if value is None:
            del parent[key]
        else:
            parent[key] = value
    return changed


def parsed(changes: Mapping[str, Any] | None = None) -> ProjectSpec:
    """The spec with some values replaced."""
    return parse_project(yaml.safe_dump(changed(changes or {}), sort_keys=False), PATH)
