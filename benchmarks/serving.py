"""
Serving, measured side by side on one machine: ours, thirty lines of FastAPI, ``mlflow models serve``, and MLServer.

``python benchmarks/serving.py`` trains one model (gradient boosting over 25 columns, five of them strings), starts one
server after the other on loopback, and sends requests of one row from one client, and from 16 clients at once. All
requests are the same bytes. ``--mlserver`` measures MLServer too: uv installs it into an environment of its own
in a temporary folder, because it requires other versions than the platform's.
"""

import argparse
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

NUMBERS = [f"number_{number}" for number in range(20)]
TEXTS = [f"text_{number}" for number in range(5)]
CLIENTS = 16
START_SECONDS = 240
RESPONSE_SECONDS = 120
MLSERVER = ("mlserver==1.7.1", "mlserver-mlflow==1.7.1")
SHARED = ("mlflow", "numpy", "pandas", "scikit-learn", "skops")
"""Libraries that all servers have in the same version: they take the time of a prediction."""
PLAIN_APP = """
import json, sys
import pandas as pd, skops.io
from fastapi import FastAPI, Request
from include.packaging.files import TRUSTED_TYPES

model = skops.io.load("model.skops", trusted=list(TRUSTED_TYPES))
app = FastAPI()

@app.get("/ping")
def ping():
    return {}

@app.post("/invocations")
async def invocations(request: Request):
    split = (await request.json())["dataframe_split"]
    frame = pd.DataFrame(split["data"], columns=split["columns"])
    return {"predictions": model.predict_proba(frame).tolist()}
"""


@dataclass(frozen=True)
class Result:
    """Measurements of one server."""

    name: str
    start_seconds: float
    p50_ms: float
    p99_ms: float
    requests_per_second: float
    busy_p50_ms: float
    busy_p99_ms: float
    memory_mb: float
    prediction: Any


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sequential", type=int, default=300, help="requests of one client (default: 300)")
    parser.add_argument("--concurrent", type=int, default=1600, help="requests of 16 clients together (default: 1600)")
    parser.add_argument(
        "--mlserver", action="store_true", help="install MLServer in a temporary folder, measure it too"
    )
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="serving-benchmark-") as name:
        folder = Path(name)
        body = make_model(folder)
        servers = {
            "this platform": lambda port: ours(folder, port),
            "FastAPI, 30 lines": lambda port: plain(folder, port),
            "mlflow models serve": lambda port: mlflow_serve(folder, port),
        }
        if given.mlserver:
            servers["MLServer"] = mlserver(folder)
        results = []
        for label, command in servers.items():
            print(f"measuring {label} ...", flush=True)
            results.append(measure(label, command, body, folder, (given.sequential, given.concurrent)))
    show(results)
    if given.json:
        given.json.write_text(json.dumps([result.__dict__ for result in results], indent=1) + "\n", encoding="utf-8")
    return 0 if all(result.prediction == results[0].prediction for result in results) else 1


def trained_model() -> "tuple[Pipeline, pd.DataFrame]":
    """A pipeline over numbers and texts, and the rows it was fitted on."""
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {name: random.normal(size=20_000) for name in NUMBERS}
        | {name: random.choice(list("abcdefghijkl"), 20_000) for name in TEXTS}
    )
    # Noise, so that the trees grow to their limits as on real data.
    noise = random.normal(size=20_000)
    target = (frame["number_0"] + frame["number_1"] * (frame["text_0"] == "a") + noise > 1).astype(int)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    prepare = ColumnTransformer([("texts", encoder, TEXTS)], remainder="passthrough")
    trees = HistGradientBoostingClassifier(max_iter=100, max_leaf_nodes=15, random_state=7)
    return Pipeline([("prepare", prepare), ("trees", trees)]).fit(frame, target), frame


def save_for_mlflow(model: Any, kinds: Mapping[str, str], folder: Path) -> None:
    """
    Write the model in MLflow's format.

    :param kinds: MLflow's type of each column.
    """
    import mlflow.sklearn
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    from include.packaging.files import TRUSTED_TYPES

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            model,
            str(folder),
            signature=ModelSignature(
                inputs=Schema([ColSpec(kind, name) for name, kind in kinds.items()]),
                # MLServer loads no model whose signature lacks outputs.
                outputs=Schema([TensorSpec(np.dtype("float64"), (-1, 2))]),
            ),
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED_TYPES),
            pyfunc_predict_fn="predict_proba",
            pip_requirements=["scikit-learn"],
        )


def make_model(folder: Path) -> bytes:
    """Train the model and write it in both formats; returns the body of a request for one row."""
    from include.packaging.files import (
        GOLDEN,
        MLMODEL,
        MODEL,
        Golden,
        GoldenTable,
        dump_model,
        seal_bundle,
        write_bundle,
    )

    model, frame = trained_model()
    kinds = dict.fromkeys(frame.columns, "double") | dict.fromkeys(TEXTS, "string")
    rows = GoldenTable(columns=list(frame.columns), data=frame.head(20).to_numpy().tolist())
    golden = Golden(rows=rows, predictions=model.predict_proba(frame.head(20)).tolist())
    description = {"project": "benchmark", "model": "benchmark", "run_id": "none", "predict": "predict_proba"}
    inputs = [{"name": name, "type": kind} for name, kind in kinds.items()]
    content = dump_model(model)
    contents = {MODEL: content, GOLDEN: golden.content(), MLMODEL: b""}
    write_bundle(seal_bundle({**description, "inputs": inputs}, contents), folder / "bundle")
    (folder / "model.skops").write_bytes(content)
    (folder / "plain_app.py").write_text(PLAIN_APP, encoding="utf-8")
    save_for_mlflow(model, kinds, folder / "mlflow")
    return json.dumps({"dataframe_split": {"columns": rows.columns, "data": rows.data[:1]}}).encode()


def ours(folder: Path, port: int) -> Sequence[str]:
    """The platform's worker."""
    return [sys.executable, "-m", "include.serving", "--bundle", str(folder / "bundle"), "--port", str(port)]


def plain(_folder: Path, port: int) -> Sequence[str]:
    """The thirty lines on uvicorn, with uvloop and httptools as it picks them."""
    return [sys.executable, "-m", "uvicorn", "plain_app:app", "--port", str(port), "--log-level", "warning"]


def mlflow_serve(folder: Path, port: int) -> Sequence[str]:
    """MLflow's own server in the same environment."""
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder / "mlflow"), *options]


def mlserver(folder: Path) -> "Callable[[int], Sequence[str]]":
    """MLServer in an environment of its own, without batching or workers: neither is for MLflow's ``/invocations``."""
    uv = ROOT / ".state" / "installer" / "bin" / "uv"
    program = str(uv) if uv.exists() else shutil.which("uv")
    if program is None:
        raise SystemExit("--mlserver needs uv: no .state/installer ('make check' makes it), and none on PATH.")
    print("installing MLServer ...", flush=True)
    python = folder / "mlserver-venv" / "bin" / "python"
    pins = [*MLSERVER, *(f"{name}=={version(name)}" for name in SHARED)]
    subprocess.run([program, "venv", "--quiet", "--python", sys.executable, str(python.parent.parent)], check=True)
    subprocess.run([program, "pip", "install", "--quiet", "--python", str(python), *pins], check=True)
    models = folder / "mlserver"
    models.mkdir()
    model = {"name": "benchmark", "implementation": "mlserver_mlflow.MLflowRuntime"}
    model_settings = {**model, "parameters": {"uri": str(folder / "mlflow")}}
    (models / "model-settings.json").write_text(json.dumps(model_settings), encoding="utf-8")

    def command(port: int) -> Sequence[str]:
        ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
        (models / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        return [str(python.parent / "mlserver"), "start", str(models)]

    return command


def measure(label: str, command: Any, body: bytes, folder: Path, counts: tuple[int, int]) -> Result:
    """Start a server, send requests, stop it."""
    began = time.perf_counter()
    with running(command, folder) as (process, port):
        start_seconds = time.perf_counter() - began
        # Fifty requests first: the first ones import, compile and open connections.
        prediction = json.loads(send(port, body, 50)[1])["predictions"]
        alone = sorted(send(port, body, counts[0])[0])
        busy_began = time.perf_counter()
        busy = sorted(send_together(port, body, counts[1]))
        seconds = time.perf_counter() - busy_began
        memory_mb = sum(memory_of(pid) for pid in group_of(process)) / 1e6
    return Result(
        name=label,
        start_seconds=start_seconds,
        p50_ms=alone[len(alone) // 2] * 1e3,
        p99_ms=alone[int(len(alone) * 0.99)] * 1e3,
        requests_per_second=len(busy) / seconds,
        busy_p50_ms=busy[len(busy) // 2] * 1e3,
        busy_p99_ms=busy[int(len(busy) * 0.99)] * 1e3,
        memory_mb=memory_mb,
        prediction=prediction,
    )


@contextmanager
def running(command: Any, folder: Path) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    """A server that responds; it and all processes that it started are ended afterwards."""
    port = free_port()
    # MLflow starts uvicorn by its name on PATH.
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    path = f"{ROOT}{os.pathsep}{folder}"
    # One thread of OpenMP for all: more compete for the cores, which slows the servers that do not limit them.
    capped = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment: Mapping[str, str] = {**os.environ, **capped, "PYTHONPATH": path, "PATH": programs}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command(port), cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(process, port, folder / "server.log")
        yield process, port
    finally:
        end_group(process)


def free_port() -> int:
    """A port of loopback that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a server and all processes that it started."""
    from include.processes import signal_group

    for number, seconds in ((signal.SIGTERM, 20.0), (signal.SIGKILL, 5.0)):
        if not signal_group(process.pid, number):
            break
        deadline = time.monotonic() + seconds
        while group_of(process) and time.monotonic() < deadline:
            process.poll()
            time.sleep(0.1)
    process.wait()


def wait_for(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait until the server responds to ``/ping``."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/ping")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise SystemExit(f"The server did not start: {log.read_text(errors='replace')[-2000:]}")


def send(port: int, body: bytes, count: int) -> tuple[list[float], bytes]:
    """One client on one connection: seconds of each request, and the last response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=RESPONSE_SECONDS)
    seconds, content = [], b""
    for _ in range(count):
        began = time.perf_counter()
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        seconds.append(time.perf_counter() - began)
        if response.status != http.client.OK:
            raise SystemExit(f"HTTP {response.status}: {content[:500]!r}")
    connection.close()
    return seconds, content


def send_together(port: int, body: bytes, count: int) -> list[float]:
    """Sixteen clients at once, each on its own connection."""
    seconds: list[float] = []
    threads = [
        threading.Thread(target=lambda: seconds.extend(send(port, body, count // CLIENTS)[0])) for _ in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(seconds) != count // CLIENTS * CLIENTS:
        raise SystemExit("A client failed; see its lines above.")
    return seconds


def group_of(process: "subprocess.Popen[bytes]") -> list[int]:
    """Process ids of a server and all that it started."""
    pids = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError):
            # The server leads a group of its own; its workers stay in it.
            if os.getpgid(pid) == process.pid:
                pids.append(pid)
    return pids


def memory_of(pid: int) -> float:
    """Proportional set size in bytes; nothing of a process that has ended."""
    try:
        return float(psutil.Process(pid).memory_full_info().pss)
    except psutil.Error:
        return 0.0


def show(results: Sequence[Result]) -> None:
    """The table; ratios are to the thirty lines of FastAPI."""
    floor = next(result for result in results if result.name.startswith("FastAPI"))
    print(
        f"\n{'':22}{'start':>8}{'1 row p50':>12}{'p99':>10}{'ratio':>8}{'16 clients':>13}{'p50':>10}{'p99':>10}"
        f"{'ratio':>8}{'memory':>10}"
    )
    for result in results:
        print(
            f"{result.name:22}{result.start_seconds:6.1f} s{result.p50_ms:9.2f} ms{result.p99_ms:7.1f} ms"
            f"{result.p50_ms / floor.p50_ms:7.2f}x{result.requests_per_second:9.0f} r/s{result.busy_p50_ms:7.1f} ms"
            f"{result.busy_p99_ms:7.1f} ms{result.requests_per_second / floor.requests_per_second:7.2f}x"
            f"{result.memory_mb:7.0f} MB"
        )
    print("\nOne worker process and one thread of OpenMP each; ratios to the thirty lines of FastAPI in the same run.")


if __name__ == "__main__":
    raise SystemExit(main())
