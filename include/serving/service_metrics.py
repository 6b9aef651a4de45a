"""What the server counts, as Prometheus reads it."""

from collections.abc import Mapping, Sequence

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# From 1 ms, as one row takes 1.5 ms; to 10 s, where clients have given up.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class ServiceMetrics:
    """
    Counts of one server process; touched by the event loop's thread only.

    Each app has a registry of its own, so two apps in one process do not add up, and Prometheus scrapes each worker
    process by itself.
    """

    def __init__(self, labels: Mapping[str, str], *, ready: bool = False) -> None:
        """
        Start at zero.

        :param labels: what the process serves: model, version, digest.
        :param ready: value of :attr:`ready`.
        """
        self.in_flight = 0
        """Requests that have no response yet."""
        self.ready = ready
        """Whether the process takes requests."""
        # A time of creation beside each counter would double the number of series.
        disable_created_metrics()
        self._registry = CollectorRegistry()
        info = Gauge("ml_serving_model_info", "The model that this process serves.", labels, registry=self._registry)
        (info.labels(**labels) if labels else info).set(1)
        self._requests = Counter(
            "ml_serving_requests_total", "Responses by path and status.", ("path", "status"), registry=self._registry
        )
        self._rows = Counter("ml_serving_rows_total", "Rows predicted.", registry=self._registry)
        in_flight = Gauge("ml_serving_requests_in_flight", "Requests being answered.", registry=self._registry)
        # Read at the scrape: setting a gauge takes a lock at each request.
        in_flight.set_function(lambda: self.in_flight)
        taking = Gauge("ml_serving_ready", "1 while the process takes requests.", registry=self._registry)
        taking.set_function(lambda: self.ready)
        self._seconds = self._histogram("request_seconds", "Time to answer /invocations.", _SECONDS)
        self._predict_seconds = self._histogram("predict_seconds", "Time of one call of the model.", _SECONDS)
        self._batch_rows = self._histogram("batch_rows", "Rows in one call of the model.", _COUNTS)
        self._batch_requests = self._histogram("batch_requests", "Requests in one call of the model.", _COUNTS)

    def request(self, route: str, status: int, seconds: float) -> None:
        """
        Count a response.

        :param route: a known path, or ``other``: labels are a closed list.
        :param seconds: from the request's head to the response's last byte.
        """
        self._requests.labels(route, str(status)).inc()
        if route == "/invocations":
            self._seconds.observe(seconds)

    def batch(self, row_count: int, request_count: int, seconds: float) -> None:
        """
        Count one call of the model.

        :param row_count: rows of all requests in it; at least 1.
        :param request_count: requests that were joined into it; at least 1.
        :param seconds: how long the model took.
        """
        self._rows.inc(row_count)
        self._batch_rows.observe(row_count)
        self._batch_requests.observe(request_count)
        self._predict_seconds.observe(seconds)

    def text(self) -> str:
        """The page that Prometheus scrapes, in its text format 0.0.4."""
        return generate_latest(self._registry).decode()

    def _histogram(self, name: str, meaning: str, bounds: Sequence[float]) -> Histogram:
        return Histogram(f"ml_serving_{name}", meaning, registry=self._registry, buckets=bounds)
