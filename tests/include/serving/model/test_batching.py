import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from include.serving.model.batching import Batcher
from include.serving.request_error import RequestError
from include.serving.service_metrics import ServiceMetrics


class Model:
    """Doubles; waits for its gate; keeps the sizes of its calls."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.sizes: list[int] = []
        self.threads: set[str] = set()

    def predict(self, columns: dict[str, Any]) -> Any:
        self.entered.set()
        self.gate.wait(30)
        values = columns["x"]
        self.sizes.append(len(values))
        self.threads.add(threading.current_thread().name)
        if (values < 0).any():
            raise RequestError("negative")
        return values * 2


def batcher(model: Model, *, rows_at_most: int = 100, waiting_at_most: int = 100) -> Batcher:
    metrics = ServiceMetrics({})
    return Batcher(
        model.predict,
        metrics,
        rows_at_most=rows_at_most,
        waiting_at_most=waiting_at_most,
        prepare_thread=lambda: None,
    )


def columns(*values: float) -> dict[str, Any]:
    return {"x": np.array(values)}


async def together(model: Model, result: Batcher, *requests: tuple[float, ...]) -> list[Any]:
    """The first request is in the model's hands when the others come."""
    tasks = [asyncio.create_task(result.submit(columns(*requests[0]), len(requests[0])))]
    await asyncio.to_thread(model.entered.wait, 30)
    tasks += [asyncio.create_task(result.submit(columns(*values), len(values))) for values in requests[1:]]
    await asyncio.sleep(0)
    model.gate.set()
    responses = await asyncio.gather(*tasks, return_exceptions=True)
    result.close()
    return [response.tolist() if isinstance(response, np.ndarray) else response for response in responses]


def run(model: Model, make: Callable[[Model], Batcher], *requests: tuple[float, ...]) -> list[Any]:
    async def main() -> list[Any]:
        return await together(model, make(model), *requests)

    return asyncio.run(main())


def test_requests_that_wait_are_predicted_together_and_returned_apart() -> None:
    model = Model()
    assert run(model, batcher, (1,), (2, 3), (4,)) == [[2], [4, 6], [8]]
    assert model.sizes == [1, 3]
    assert len(model.threads) == 1


def test_a_batch_never_holds_more_rows_than_allowed() -> None:
    model = Model()
    responses = run(model, lambda result: batcher(result, rows_at_most=3), (1,), (1, 2), (1, 2), (1, 2, 3, 4, 5), (1,))
    assert [len(response) for response in responses] == [1, 2, 2, 5, 1]
    assert model.sizes == [1, 2, 2, 5, 1]


def test_one_bad_request_does_not_take_the_others_predictions() -> None:
    model = Model()
    responses = run(model, batcher, (1,), (2,), (-1,), (3,))
    assert [responses[0], responses[1], responses[3]] == [[2], [4], [6]]
    assert isinstance(responses[2], RequestError)


def test_too_many_waiting_requests_are_sent_away() -> None:
    responses = run(Model(), lambda result: batcher(result, waiting_at_most=1), (1,), (2,), (3,))
    assert responses[:2] == [[2], [4]]
    assert isinstance(responses[2], RequestError)
    assert responses[2].status == 503


def test_request_whose_client_went_away_is_left_out() -> None:
    async def main() -> None:
        model = Model()
        result = batcher(model)
        first = asyncio.create_task(result.submit(columns(1), 1))
        await asyncio.to_thread(model.entered.wait, 30)
        gone = asyncio.create_task(result.submit(columns(2), 1))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        model.gate.set()
        assert (await first).tolist() == [2]
        assert (await result.submit(columns(3), 1)).tolist() == [6]
        assert model.sizes == [1, 1]
        result.close()

    asyncio.run(main())


def test_bug_in_the_model_reaches_its_request_and_no_other() -> None:
    class Broken(Model):
        def predict(self, _columns: dict[str, Any]) -> Any:
            raise ZeroDivisionError("bug")

    async def main() -> None:
        result = batcher(Broken())
        for _ in range(2):
            with pytest.raises(ZeroDivisionError, match="bug"):
                await result.submit(columns(1), 1)
        result.close()

    asyncio.run(main())
