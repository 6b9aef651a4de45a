"""Concurrent requests predicted together: whatever waits when the model is free goes into its next call."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from include.serving.model.columns import Columns, join_columns
from include.serving.request_error import RequestError
from include.serving.service_metrics import ServiceMetrics

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class _Waiting:
    columns: Columns
    row_count: int
    result: "asyncio.Future[NDArray[Any]]"


class Batcher:
    """
    Lets one thread predict; requests that arrive meanwhile are joined into the next call.

    A request that finds the model idle starts at once: no time is spent waiting for others.
    """

    def __init__(
        self,
        predict: Callable[[Columns], "NDArray[Any]"],
        metrics: ServiceMetrics,
        *,
        rows_at_most: int,
        waiting_at_most: int,
        prepare_thread: Callable[[], None],
    ) -> None:
        self._predict, self._metrics = predict, metrics
        self._rows_at_most, self._waiting_at_most = rows_at_most, waiting_at_most
        self._queue: deque[_Waiting] = deque()
        self._busy = False
        # One thread: estimators are not safe in two, and numpy's work would fight over the same cores.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="predict", initializer=prepare_thread)

    async def submit(self, columns: Columns, row_count: int) -> "NDArray[Any]":
        """
        Predict the rows of one request.

        :param columns: those of the signature, each of ``row_count`` values.
        :param row_count: at least 1.
        :return: the predictions of these rows, in their order; shape as :meth:`Predictor.predict` returns it.
        :raises RequestError: 503 if too many requests wait already; 400 if the model refuses the rows.
        """
        # Refused early: a client that times out would have its rows predicted in vain.
        if len(self._queue) >= self._waiting_at_most:
            message = f"{len(self._queue)} requests wait already; try again later."
            raise RequestError(message, status=503)
        waiting = _Waiting(columns, row_count, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if not self._busy:
            self._start()
        return await waiting.result

    def close(self) -> None:
        """End the thread when it has finished what it does."""
        self._thread.shutdown(wait=False)

    def _start(self) -> None:
        batch = self._take()
        self._busy = bool(batch)
        if batch:
            loop = asyncio.get_running_loop()
            # The event loop goes on reading requests: numpy releases the GIL for most of its work.
            loop.run_in_executor(self._thread, self._predict_batch, batch).add_done_callback(
                lambda done: self._finish(batch, done)
            )

    def _take(self) -> list[_Waiting]:
        """The next requests whose rows fit together; a request larger than a batch goes alone."""
        batch: list[_Waiting] = []
        row_count = 0
        while self._queue and (not batch or row_count + self._queue[0].row_count <= self._rows_at_most):
            waiting = self._queue.popleft()
            # uvicorn cancels requests that outlive the time to drain; their rows need no prediction.
            if not waiting.result.cancelled():
                batch.append(waiting)
                row_count += waiting.row_count
        return batch

    def _predict_batch(self, batch: list[_Waiting]) -> "tuple[list[NDArray[Any] | Exception], float]":
        began = perf_counter()
        results: list[NDArray[Any] | Exception] = []
        try:
            together = self._predict(join_columns([waiting.columns for waiting in batch]))
        except Exception as error:  # noqa: BLE001 (one request's rows must not take the others' predictions)
            # Joined rows share one call: predicted alone, only the request that caused the error gets it.
            results = [error] if len(batch) == 1 else [self._predict_alone(waiting) for waiting in batch]
        else:
            begin = 0
            for waiting in batch:
                results.append(together[begin : begin + waiting.row_count])
                begin += waiting.row_count
        return results, perf_counter() - began

    def _predict_alone(self, waiting: _Waiting) -> "NDArray[Any] | Exception":
        try:
            return self._predict(waiting.columns)
        except Exception as error:  # noqa: BLE001 (it becomes this request's error)
            return error

    def _finish(self, batch: list[_Waiting], done: "asyncio.Future[Any]") -> None:
        results, seconds = done.result()
        self._metrics.batch(sum(waiting.row_count for waiting in batch), len(batch), seconds)
        for waiting, result in zip(batch, results, strict=True):
            if waiting.result.cancelled():
                continue
            if isinstance(result, Exception):
                waiting.result.set_exception(result)
            else:
                waiting.result.set_result(result)
        self._start()
