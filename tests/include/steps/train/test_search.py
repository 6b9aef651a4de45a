"""The search: the same sets for the same spec, the best of them, and a budget that is kept."""

from collections.abc import Callable
from datetime import timedelta

from include.spec.training import Choice, FloatRange, ModelSpec
from include.steps.train.search import Parameters, parameter_sets, run_search
from tests.support.worlds.training_world import toy_spec


def _model(**changes: object) -> ModelSpec:
    spec = toy_spec(model__parameters={"a": 1}, **{f"model__search__{name}": value for name, value in changes.items()})
    return spec.model


SPACE = {"a": Choice(choices=(1, 2, 3)), "b": FloatRange(low=0.01, high=10.0, log=True), "c": FloatRange(low=1, high=2)}


def test_the_spec_s_own_parameters_come_first_and_the_rest_is_drawn_from_the_space() -> None:
    sets = list(parameter_sets(_model(trials=30, space=SPACE)))

    assert sets[0] == {"a": 1}
    assert len(sets) == 30
    assert {drawn["a"] for drawn in sets[1:]} == {1, 2, 3}
    low = [float(drawn["b"]) for drawn in sets[1:]]
    assert 0.01 <= min(low) < 0.1
    assert 1.0 < max(low) <= 10.0
    assert all(1.0 <= float(drawn["c"]) <= 2.0 for drawn in sets[1:])


def test_the_same_spec_gives_the_same_sets_and_another_seed_others() -> None:
    model = _model(trials=5, space=SPACE)

    assert list(parameter_sets(model)) == list(parameter_sets(model))
    assert list(parameter_sets(model)) != list(parameter_sets(model.model_copy(update={"seed": 4})))


def test_a_small_space_is_used_up_without_trying_anything_twice() -> None:
    sets = list(parameter_sets(_model(trials=50, space={"a": Choice(choices=(1, 2, 3))})))

    assert sorted(str(drawn) for drawn in sets) == ["{'a': 1}", "{'a': 2}", "{'a': 3}"]


def test_without_a_space_there_is_one_trial() -> None:
    assert list(parameter_sets(_model(trials=50, space={}))) == [{"a": 1}]


def test_the_best_trial_wins_and_the_first_of_equals() -> None:
    model = _model(trials=3, space={"a": Choice(choices=(1, 2, 3))}, metric="roc_auc")

    search = run_search(model, lambda drawn: {"roc_auc": 0.5 if drawn["a"] == 1 else 0.7})

    assert search.best.number == 2
    assert search.budget_hit is False
    assert search.described().best == 2


def test_a_metric_that_is_better_when_smaller_is_minimised() -> None:
    model = _model(trials=3, space={"a": Choice(choices=(1, 2, 3))}, metric="log_loss")

    search = run_search(model, lambda drawn: {"log_loss": float(drawn["a"])})

    assert search.best.parameters == {"a": 1}


def test_no_trial_begins_after_the_budget_and_the_first_always_runs() -> None:
    model = _model(trials=10, space=SPACE, seconds=timedelta(seconds=40))
    done: list[int] = []

    search = run_search(model, _measured, clock=_ticking(step=5.0), on_trial=lambda trial: done.append(trial.number))

    assert done == [trial.number for trial in search.trials] == [1, 2, 3]
    assert search.budget_hit is True
    assert search.planned == 10
    assert len(run_search(_model(seconds=timedelta(0), space=SPACE), _measured).trials) == 1


def _measured(_: Parameters) -> dict[str, float]:
    return {"roc_auc": 0.5}


def _ticking(step: float) -> Callable[[], float]:
    """A clock that goes on by so many seconds each time it is looked at."""
    seconds = -step

    def look() -> float:
        nonlocal seconds
        seconds += step
        return seconds

    return look
