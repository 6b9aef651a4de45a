"""What the server counts, as Prometheus reads it; written by hand, because it is forty lines."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Histogram:
    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str, meaning: str) -> Iterator[str]:
        yield f"# HELP {name} {meaning}"
        yield f"# TYPE {name} histogram"
        total = 0
        for bound, count in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{bound}"}} {total}'
        yield f"{name}_sum {self._sum!r}"
        yield f"{name}_count {total}"


@dataclass
class ServiceMetrics:
    """Counts of one server process; touched by the event loop's thread only."""

    labels: dict[str, str]
    """What the process serves: model, version, digest."""
    in_flight: int = 0
    ready: bool = False
    _requests: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    _rows: int = 0
    _seconds: _Histogram = field(default_factory=lambda: _Histogram(_SECONDS))
    _predict_seconds: _Histogram = field(default_factory=lambda: _Histogram(_SECONDS))
    _batch_rows: _Histogram = field(default_factory=lambda: _Histogram(_COUNTS))
    _batch_requests: _Histogram = field(default_factory=lambda: _Histogram(_COUNTS))

    def request(self, route: str, status: int, seconds: float) -> None:
        """
        Count an answer.

        :param route: a known path, or ``other``: labels are a closed list.
        """
        self._requests[route, status] += 1
        if route == "/invocations":
            self._seconds.add(seconds)

    def batch(self, row_count: int, request_count: int, seconds: float) -> None:
        """Count one call of the model."""
        self._rows += row_count
        self._batch_rows.add(row_count)
        self._batch_requests.add(request_count)
        self._predict_seconds.add(seconds)

    def text(self) -> str:
        """The page that Prometheus scrapes."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in self.labels.items())
        yield "# HELP ml_serving_model_info The model that this process serves."
        yield "# TYPE ml_serving_model_info gauge"
        yield f"ml_serving_model_info{{{labels}}} 1"
        yield "# HELP ml_serving_requests_total Answers by path and status."
        yield "# TYPE ml_serving_requests_total counter"
        for (route, status), count in sorted(self._requests.items()):
            yield f'ml_serving_requests_total{{path="{route}",status="{status}"}} {count}'
        yield from _single("ml_serving_rows_total", "counter", "Rows predicted.", self._rows)
        yield from _single("ml_serving_requests_in_flight", "gauge", "Requests being answered.", self.in_flight)
        yield from _single("ml_serving_ready", "gauge", "1 while the process takes requests.", int(self.ready))
        yield from self._seconds.lines("ml_serving_request_seconds", "Time to answer /invocations.")
        yield from self._predict_seconds.lines("ml_serving_predict_seconds", "Time of one call of the model.")
        yield from self._batch_rows.lines("ml_serving_batch_rows", "Rows in one call of the model.")
        yield from self._batch_requests.lines("ml_serving_batch_requests", "Requests in one call of the model.")


def _single(name: str, kind: str, meaning: str, value: int) -> Iterator[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"
    yield f"{name} {value}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
