import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pyarrow as pa
import pytest

from include.contract import settings
from include.contract.layout import bundle_prefix
from include.spec.load import load_project
from include.stores.installation import Stores
from local_platform.demo import served_model
from local_platform.errors import JobFailedError
from tests.support.servers.in_a_thread import serving


class Model(BaseHTTPRequestHandler):
    """Predicts the distance of a row as its probability."""

    requests: list[object]

    def do_GET(self) -> None:
        self._respond(200, {"model": "departure_delay", "version": "3", "digest": "sha256:d"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).requests.append(body)
        (row,) = body["dataframe_split"]["data"]
        if row[0] < 0:
            self._respond(400, {"message": "distance is negative"})
        else:
            self._respond(200, {"predictions": [[1 - row[0], row[0]]]})

    def _respond(self, status: int, content: object) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Model.requests = []
    with serving(Model) as address:
        yield address


def stores(tmp_path: Path, distances: list[float]) -> Stores:
    made = Stores(
        {settings.TABLES_URI: f"file://{tmp_path}/tables", settings.OBJECTS_URI: f"file://{tmp_path}/objects"}
    )
    manifest = json.dumps({"inputs": [{"name": "distance", "type": "double"}]}).encode()
    made.objects.create(f"{bundle_prefix('flights', 'sha256:d')}manifest.json", manifest)
    count = len(distances)
    columns = {"carrier": ["UA"] * count, "flight": list(range(count)), "time_hour": ["2013-10-01"] * count}
    rows = pa.table(columns | {"distance": distances, "delayed": [number % 2 for number in range(count)]})
    made.tables.write("flights/features/departure_delay_v1", "2013-10", rows, stamp={})
    return made


def test_rows_are_sent_one_by_one_with_the_model_s_columns(tmp_path: Path, url: str) -> None:
    identity = served_model.identify(url)
    kept = stores(tmp_path, [0.0, 0.1, 0.2, 0.3])
    predictions = served_model.predict(url, identity, kept, load_project("flights"), partition="2013-10", count=2)
    assert Model.requests == [
        {"dataframe_split": {"columns": ["distance"], "data": [[0.0]]}},
        {"dataframe_split": {"columns": ["distance"], "data": [[0.2]]}},
    ]
    assert [(prediction.probability, prediction.observed) for prediction in predictions] == [(0.0, False), (0.2, False)]
    assert predictions[1].row == "UA 2 2013-10-01"


def test_a_refusal_is_reported_with_the_response(tmp_path: Path, url: str) -> None:
    identity = served_model.identify(url)
    kept = stores(tmp_path, [-1.0])
    with pytest.raises(JobFailedError, match=r"responded 400 at .*/invocations: .*distance is negative"):
        served_model.predict(url, identity, kept, load_project("flights"), partition="2013-10", count=1)


def test_no_response_is_reported_with_the_log_to_read() -> None:
    with pytest.raises(JobFailedError, match=r"did not respond at http://127\.0\.0\.1:9/health.*model-server\.log"):
        served_model.identify("http://127.0.0.1:9")
