"""A small shop with orders and customers, and its data steps, on stores in memory."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from include.contract.command import StepCommand
from include.contract.receipt import Receipt
from include.contract.step_names import StepName
from include.runtime.context import StepContext
from include.runtime.ending import Ending
from include.runtime.events import EventLog
from include.runtime.runner import run_step
from include.spec.load import parse_project
from include.spec.project import ProjectSpec
from include.spec.sources import SourceSpec
from include.stores.installation import Stores
from include.stores.objects.memory import MemoryObjects
from include.stores.objects.protocol import ObjectStore
from include.stores.tables.memory import MemoryTables
from include.stores.tables.protocol import TableStore

HEADER = "order_id,customer,placed_at,amount,paid\n"
CUSTOMERS = "customer,country\nann,US\nbob,FR\n"
PROJECT = """
name: shop
title: Shop
description: Will an order be large?
owner: {team: shop, email: shop@example.com}
timezone: America/New_York
grain: month
start: 2013-01-01
schedule: {data: "0 0 1 * *"}
sources:
  orders:
    description: One row per order.
    format: csv
    location: file:///nowhere/orders.csv
    null_values: ["", "NA"]
    key: [order_id]
    event_time: placed_at
    rows: {at_least: 3, at_most: 1000}
    quarantine_at_most: 0.5
    columns:
      order_id: {type: int64, meaning: Number of the order.}
      customer: {type: string, meaning: Who ordered.}
      placed_at: {type: timestamp, meaning: When the order was placed.}
      amount: {type: float64, meaning: Dollars., known: paid_at, nulls_at_most: 0.5}
      paid: {type: bool, meaning: Whether it was paid., known: paid_at}
    times:
      paid_at: {from: placed_at, offset: 1d}
    checks:
      - {rule: expect_column_values_to_be_between, column: amount, min_value: 0, max_value: 1000, meaning: No refunds.}
      - {rule: expect_column_values_to_match_regex, column: customer, regex: "^[a-z]+$", level: warning}
      - {rule: expect_column_mean_to_be_between, column: amount, min_value: 0, max_value: 900}
  customers:
    description: One row per customer.
    format: csv
    location: file:///nowhere/customers.csv
    key: [customer]
    rows: {at_least: 1, at_most: 1000}
    columns:
      customer: {type: string, meaning: Name of the customer.}
      country: {type: string, meaning: Where the customer lives.}
feature_set:
  name: size
  version: 1
  owner: shop
  description: What is known of an order.
  base: orders
  prediction_time: placed_at
  function: features:build
  columns:
    customer: {type: string, meaning: Who ordered., of: [customer]}
target: {name: large, meaning: Above 100 dollars., column: amount, at_least: 100, when_null: false}
model:
  name: size
  description: A model.
  function: model:build
  search: {trials: 1, seconds: 1s}
split: {window: 3}
evaluation:
  gates: [{metric: roc_auc, at_least: 0.5}]
execution:
  default: {cpu: 1, memory: 1Gi, timeout: 1m, retries: 0, retry_delay: 1s}
serving: {drain: 1s}
"""


def order_line(number: int, *, day: int = 5, month: int = 3, amount: object = 20.5) -> str:
    return f"{number},ann,2013-{month:02}-{day:02}T12:00:00Z,{amount},true\n"


def orders(count: int = 6, *, first: int = 1, month: int = 3) -> str:
    return "".join(order_line(number, day=number % 27 + 1, month=month) for number in range(first, first + count))


@dataclass
class Shop:
    """The shop's project, its files below a folder, and its stores."""

    folder: Path
    tables: TableStore = field(default_factory=MemoryTables)
    objects: ObjectStore = field(default_factory=MemoryObjects)
    environment: dict[str, str] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    """What of the source ``orders`` is different."""
    log: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.file("customers.csv", CUSTOMERS)
        self.file("orders.csv", HEADER + orders())

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    @property
    def spec(self) -> ProjectSpec:
        document = yaml.safe_load(PROJECT.replace("file:///nowhere", self.folder.as_uri()))
        document["sources"]["orders"] |= self.overrides
        return parse_project(yaml.safe_dump(document, sort_keys=False), Path("include/projects/shop/project.yaml"))

    def context(self, step: StepName, partition: str, source: str | None = None) -> StepContext:
        stores = Stores(environment=self.environment)
        stores.__dict__.update(tables=self.tables, objects=self.objects)
        options = (("source", source),) if source else ()
        command = StepCommand(step=step, project="shop", partition=partition, run="by-hand", options=options)
        return StepContext(
            command=command, spec=self.spec, stores=stores, events=EventLog(stream=self.log), code="sha256:code"
        )

    def ingest(self, source: str = "orders", partition: str = "2013-03") -> Ending:
        return run_step(self.context(StepName.INGEST, partition, source))

    def run(self, step: StepName, partition: str = "2013-03") -> Ending:
        return run_step(self.context(step, partition))

    def ingest_all(self, partition: str = "2013-03") -> None:
        for source in self.spec.sources:
            ending = self.ingest(source, partition)
            assert ending.error is None, ending.error

    def receipt(self, ending: Ending) -> Receipt:
        assert ending.outcome.receipt is not None, ending.error
        return self.context(StepName.VALIDATE, "2013-03").receipts.receipt(ending.outcome.receipt)

    def rows(self, table: str, partition: str = "2013-03") -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.tables.read(f"shop/{table}", partition).to_pylist()
        return rows

    def report(self, step: StepName, name: str, partition: str = "2013-03") -> bytes:
        keys = [key for key in self.objects.list(f"reports/shop/{step.value}/{partition}/") if key.endswith(name)]
        return self.objects.get(keys[-1])

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


def source_of(overrides: Mapping[str, Any] | None = None) -> SourceSpec:
    """The source ``orders``."""
    document = yaml.safe_load(PROJECT)["sources"]["orders"] | dict(overrides or {})
    return SourceSpec.model_validate(document)


def rejection(ending: Ending) -> str:
    """The message of an ending that rejects the data."""
    assert ending.error is not None
    assert ending.outcome.exit_code == 65, ending.error
    return str(ending.error)
