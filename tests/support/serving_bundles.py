"""Small real models as bundles, and model servers as processes, for tests."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from include.errors import PlatformError
from include.packaging.files import GOLDEN, MLMODEL, MODEL, Bundle, Golden, GoldenTable, dump_model, seal_bundle
from include.stores.serving.control import StatusCommand, send
from tests.support.processes import children_of

ROOT = Path(__file__).resolve().parents[2]
INPUTS = (
    {"name": "carrier", "type": "string"},
    {"name": "origin", "type": "string"},
    {"name": "hour", "type": "long"},
    {"name": "distance", "type": "double"},
    {"name": "temp", "type": "double", "required": False},
)
START_SECONDS = 120


def rows(count: int = 400, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "carrier": random.choice(["AA", "B6", "UA"], count),
            "origin": random.choice(["EWR", "JFK", "LGA"], count),
            "hour": random.integers(5, 24, count),
            "distance": random.uniform(80, 2500, count),
            "temp": random.normal(55, 18, count),
        }
    )
    frame.loc[::7, "temp"] = np.nan
    frame.loc[::11, "carrier"] = None
    return frame


@lru_cache(maxsize=8)
def pipeline(seed: int = 0, *, categorical: bool = False) -> Pipeline:
    frame = rows(seed=seed)
    late = (frame["hour"] + frame["distance"] / 300 + np.random.default_rng(seed).normal(0, 3, len(frame))) > 18
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    prepare = ColumnTransformer([("texts", encoder, ["carrier", "origin"])], remainder="passthrough")
    features = [0, 1] if categorical else None
    trees = HistGradientBoostingClassifier(max_iter=8, categorical_features=features, random_state=seed)
    return Pipeline([("prepare", prepare), ("trees", trees)]).fit(frame, late.astype(int))


def table(frame: pd.DataFrame) -> GoldenTable:
    data = [[None if pd.isna(value) else value for value in row] for row in frame.astype(object).to_numpy().tolist()]
    return GoldenTable(columns=list(frame.columns), data=data)


@lru_cache(maxsize=16)
def bundle(seed: int = 0, **changes: str) -> Bundle:
    """A sealed bundle of a small model; changes are fields of its manifest. The same call gives the same bundle."""
    fitted = pipeline(seed)
    description: dict[str, Any] = {
        "project": "flights",
        "model": "departure_delay",
        "run_id": f"run{seed}",
        "predict": "predict_proba",
        "positive_class": 1,
        "inputs": INPUTS,
        **changes,
    }
    frame = rows(12, seed=99)
    predictions = getattr(fitted, description["predict"])(frame).tolist()
    golden = Golden(rows=table(frame), predictions=predictions)
    contents = {MODEL: dump_model(fitted), GOLDEN: golden.content(), MLMODEL: b"flavors: {}\n"}
    return seal_bundle(description, contents)


def contradicting() -> Bundle:
    """A bundle whose golden predictions are not those of its model."""
    good = bundle()
    golden = good.golden()
    content = Golden(rows=golden.rows, predictions=[[0.5, 0.5]] * len(golden.predictions)).content()
    return seal_bundle(good.manifest.model_dump(exclude={"files"}), {**good.contents, GOLDEN: content})


@dataclass(frozen=True)
class RunningServer:
    """A supervisor process."""

    process: "subprocess.Popen[bytes]"
    control: Path
    state: Path

    @property
    def url(self) -> str:
        return send(self.control, StatusCommand(), timeout_seconds=10).public_url


@contextmanager
def running_supervisor(state: Path, control: Path, port: int = 0) -> Iterator[RunningServer]:
    """A model server; everything that it started is gone afterwards."""
    arguments = ["--state", str(state), "--control", str(control), "--port", str(port)]
    with (state.parent / f"{state.name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "include.serving.processes.supervisor", *arguments],
            cwd=ROOT,
            env=clean_environment(),
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(process, control)
        yield RunningServer(process, control, state)
    finally:
        stop(process)


def clean_environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def stop(process: "subprocess.Popen[bytes]") -> int:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    return process.wait(timeout=60)


def workers_of(process: "subprocess.Popen[bytes]") -> list[int]:
    """Process ids of a supervisor's workers."""
    return children_of(process.pid)


def wait_until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = "What was waited for did not happen."
            raise AssertionError(message)
        time.sleep(0.05)


def split_body(frame: pd.DataFrame) -> bytes:
    return json.dumps({"dataframe_split": table(frame).model_dump()}).encode()


def _wait_for(process: "subprocess.Popen[bytes]", control: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            send(control, StatusCommand(), timeout_seconds=5)
        except PlatformError:
            time.sleep(0.05)
        else:
            return
    message = f"The model server did not start; exit code {process.poll()}."
    raise RuntimeError(message)
