"""
A seeded random search for parameters within a budget of time.

Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization" (2012); the sets are drawn by scikit-learn's
``ParameterSampler``.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import loguniform, uniform
from sklearn.model_selection import ParameterGrid, ParameterSampler

from include.contract.document import Scalar
from include.contract.results import SearchSummary, TrialSummary
from include.spec.training import SMALLER_IS_BETTER, Choice, FloatRange, ModelSpec

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

    def described(self) -> TrialSummary:
        """As it is written down."""
        return TrialSummary(
            number=self.number,
            parameters=dict(self.parameters),
            metrics={name: round(value, 9) for name, value in self.metrics.items()},
            seconds=round(self.seconds, 3),
        )


@dataclass(frozen=True)
class Search:
    """The trials of a search, and which of them is best."""

    metric: str
    trials: tuple[Trial, ...]
    planned: int
    budget_hit: bool
    """Whether time ran out before all planned trials had begun: then the result depends on the machine."""

    @property
    def best(self) -> Trial:
        """The trial with the best score; the first of several."""
        sign = 1.0 if self.metric in SMALLER_IS_BETTER else -1.0
        return min(self.trials, key=lambda trial: (sign * trial.metrics[self.metric], trial.number))

    def described(self) -> SearchSummary:
        """As it is written down."""
        return SearchSummary(
            metric=self.metric,
            trials=tuple(trial.described() for trial in self.trials),
            planned=self.planned,
            budget_hit=self.budget_hit,
            best=self.best.number,
        )


def run_search(
    model: ModelSpec,
    measure: Callable[[Parameters], Metrics],
    *,
    clock: Callable[[], float] = time.monotonic,
    on_trial: Callable[[Trial], None] = lambda _: None,
) -> Search:
    """
    Measure parameter sets: the spec's own first, then drawn ones.

    :param measure: fits one set on the train partitions and returns its metrics on the validation partitions.
    :param clock: monotonic seconds; tests pass their own.
    :param on_trial: called with each trial when it is done.
    :return: at least one trial, whatever the budget.
    """
    began, budget = clock(), model.search.seconds.total_seconds()
    trials: list[Trial] = []
    candidates = list(parameter_sets(model))
    for parameters in candidates:
        # Only between trials: a fit of scikit-learn cannot be interrupted.
        if trials and clock() - began >= budget:
            break
        start = clock()
        metrics = measure(parameters)
        trials.append(Trial(len(trials) + 1, parameters, metrics, clock() - start))
        on_trial(trials[-1])
    return Search(model.search.metric, tuple(trials), len(candidates), len(trials) < len(candidates))


def parameter_sets(model: ModelSpec) -> Iterator[Parameters]:
    """
    The sets of a search, in order: the same for the same spec, and without duplicates.

    A space of choices only is drawn from without replacement, and may be exhausted before ``search.trials`` are drawn.
    """
    own = dict(model.parameters)
    sets = [own]
    yield own
    for drawn in _drawn(model):
        candidate = own | drawn
        if len(sets) < model.search.trials and candidate not in sets:
            sets.append(candidate)
            yield candidate


def _drawn(model: ModelSpec) -> Iterator[Parameters]:

    space = {name: _distribution(values) for name, values in sorted(model.search.space.items())}
    choices = [values for values in space.values() if isinstance(values, list)]
    # The sampler warns if a grid has fewer points than are requested, and warnings are errors in the tests.
    at_most = len(ParameterGrid(space)) if len(choices) == len(space) else model.search.trials
    for drawn in ParameterSampler(space, min(model.search.trials, at_most), random_state=model.seed):
        yield {name: value if isinstance(space[name], list) else float(value) for name, value in drawn.items()}


def _distribution(space: Choice | FloatRange) -> Sequence[Scalar] | Any:
    """Values, or a frozen distribution of scipy."""
    if isinstance(space, Choice):
        return list(space.choices)
    return loguniform(space.low, space.high) if space.log else uniform(space.low, space.high - space.low)
