"""A seeded random search within a budget."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from include.contract.receipt import Json
from include.spec.training import SMALLER_IS_BETTER, Choice, FloatRange, ModelSpec, Scalar, SearchSpec

DRAWS_PER_TRIAL = 20
"""How often a set of parameters that was tried already is drawn anew before the space counts as used up."""

Parameters = dict[str, Scalar]
Metrics = dict[str, float]


@dataclass(frozen=True)
class Trial:
    """One set of parameters, fitted on the train partitions and measured on the validation partitions."""

    number: int
    """From 1."""
    parameters: Parameters
    metrics: Metrics
    seconds: float

    def described(self) -> Json:
        """As JSON."""
        return {
            "number": self.number,
            "parameters": dict(self.parameters),
            "metrics": {name: round(value, 9) for name, value in self.metrics.items()},
            "seconds": round(self.seconds, 3),
        }


@dataclass(frozen=True)
class Search:
    """What a search found."""

    metric: str
    trials: tuple[Trial, ...]
    planned: int
    budget_hit: bool
    """Whether time ran out before all planned trials had begun: then the result depends on the machine."""

    @property
    def best(self) -> Trial:
        """The first of the best trials."""
        sign = 1.0 if self.metric in SMALLER_IS_BETTER else -1.0
        return min(self.trials, key=lambda trial: (sign * trial.metrics[self.metric], trial.number))

    def described(self) -> Json:
        """As JSON."""
        return {
            "metric": self.metric,
            "trials": [trial.described() for trial in self.trials],
            "planned": self.planned,
            "budget_hit": self.budget_hit,
            "best": self.best.number,
        }


def run_search(
    model: ModelSpec,
    measure: Callable[[Parameters], Metrics],
    *,
    clock: Callable[[], float] = time.monotonic,
    told: Callable[[Trial], None] = lambda _: None,
) -> Search:
    """
    Try parameter sets: the spec's own first, then drawn ones.

    :param measure: fits and measures one set.
    :param clock: seconds; a test may bring its own.
    :param told: hears of each trial when it is done.
    """
    began, budget = clock(), model.search.seconds.total_seconds()
    trials: list[Trial] = []
    candidates = list(parameter_sets(model))
    for parameters in candidates:
        if trials and clock() - began >= budget:
            break
        start = clock()
        metrics = measure(parameters)
        trials.append(Trial(len(trials) + 1, parameters, metrics, clock() - start))
        told(trials[-1])
    return Search(model.search.metric, tuple(trials), len(candidates), len(trials) < len(candidates))


def parameter_sets(model: ModelSpec) -> Iterator[Parameters]:
    """The sets that a search tries, in order: the same for the same spec."""
    generator = np.random.default_rng(model.seed)
    seen = [dict(model.parameters)]
    yield dict(model.parameters)
    while len(seen) < model.search.trials and model.search.space:
        for _ in range(DRAWS_PER_TRIAL):
            drawn = dict(model.parameters) | _draw(model.search, generator)
            if drawn not in seen:
                break
        else:
            return
        seen.append(drawn)
        yield drawn


def _draw(search: SearchSpec, generator: np.random.Generator) -> Parameters:
    return {name: _value(search.space[name], generator) for name in sorted(search.space)}


def _value(space: Choice | FloatRange, generator: np.random.Generator) -> Scalar:
    if isinstance(space, Choice):
        return space.choices[int(generator.integers(len(space.choices)))]
    if space.log:
        return math.exp(generator.uniform(math.log(space.low), math.log(space.high)))
    return float(generator.uniform(space.low, space.high))
