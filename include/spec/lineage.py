"""
Target leakage by declaration: refuses a feature that uses a column of its own row that is known too late.

A column is known too late if it becomes known only after the prediction is made. What the declarations hide, the leak
test of the features step shows in the data (ADR 9).
"""

from collections.abc import Mapping
from datetime import timedelta

from include.errors import near
from include.spec.features import FeatureSetSpec, TargetSpec
from include.spec.sources import ALWAYS, SourceSpec, TimeSpec


def moments_before_prediction(base: SourceSpec, features: FeatureSetSpec) -> set[str]:
    """Columns and times of the base row that are known when its prediction is made."""
    known = {name for name, column in base.columns.items() if _is_before(column.known, base, features)}
    # A time is known as soon as its parts are, however far ahead it lies: the scheduled departure, for example.
    return known | {name for name, time in base.times.items() if _computable(time, base, known)}


def _computable(time: TimeSpec, base: SourceSpec, known: set[str]) -> bool:
    """Whether a time can be computed from what is known."""
    if time.add_minutes is not None and time.add_minutes not in known:
        return False
    if time.start in base.times:
        return _computable(base.times[time.start], base, known)
    return time.start in known


def _is_before(moment: str, base: SourceSpec, features: FeatureSetSpec) -> bool:
    """Whether a moment is no later than the prediction time in every row, whatever the data."""
    if moment == ALWAYS:
        return True
    prediction_root, prediction_offset, prediction_floor = _fixed(features.prediction_time, base)
    root, offset, _ = _fixed(moment, base)
    # Two moments can be compared without data only if both are a fixed offset from the same columns. A prediction time
    # that is cut down may lie before the moment that it was cut from; a moment that is cut down only gets earlier.
    return root == prediction_root and root is not None and offset <= prediction_offset and not prediction_floor


def _fixed(moment: str, base: SourceSpec) -> tuple[tuple[str, ...] | None, timedelta, bool]:
    """
    What a moment is computed from, and how.

    :return: the columns that it is the sum of; the fixed offset that is added; whether it is cut down (``floor``).
    """
    if moment not in base.times:
        return (moment,), timedelta(0), False
    time = base.times[moment]
    root, offset, floored = _fixed(time.start, base)
    if root is None:
        return None, offset, floored
    if time.add_minutes is not None:
        root = (*root, time.add_minutes)
    return root, offset + (time.offset or timedelta(0)), floored or time.floor is not None


def check_lineage(sources: Mapping[str, SourceSpec], features: FeatureSetSpec, target: TargetSpec) -> None:
    """
    Refuse features that use columns of their own row that do not exist or are known too late.

    :param sources: by name; those that ``features`` names exist.
    :raises ValueError: naming the feature, the column and when the column becomes known. Pydantic adds the key.
    """
    base = sources[features.base]
    if features.prediction_time not in base.times and features.prediction_time not in base.columns:
        message = f"feature_set.prediction_time is '{features.prediction_time}', no time of source '{features.base}'."
        raise ValueError(message + near(features.prediction_time, [*base.times, *base.columns]))
    early = moments_before_prediction(base, features)
    joined = {join.source for join in features.joins}
    for name, feature in features.columns.items():
        where = f"feature_set.columns.{name}"
        # A feature may have the name of a column. Then it is taken for that column, whatever its 'of' names.
        if name in base.columns and name not in early:
            raise ValueError(_hindsight(where, name, base.columns[name].known))
        for column in feature.of:
            _check_own(f"{where}.of", column, sources, joined, base=features.base, early=early)
        for column in feature.history_of:
            _check_exists(f"{where}.history_of", column, sources, joined, base=features.base)
    if target.column in early:
        message = (
            f"target.column is '{target.column}', which is known before the prediction is made: nothing to predict"
        )
        raise ValueError(message)


def _check_own(
    where: str, column: str, sources: Mapping[str, SourceSpec], joined: set[str], *, base: str, early: set[str]
) -> None:
    source, name = _check_exists(where, column, sources, joined, base=base)
    if source == base and name not in early:
        known = sources[base].columns[name].known if name in sources[base].columns else name
        raise ValueError(_hindsight(where, name, known))


def _check_exists(
    where: str, column: str, sources: Mapping[str, SourceSpec], joined: set[str], *, base: str
) -> tuple[str, str]:
    source, dot, name = column.partition(".")
    if not dot:
        source, name = base, column
    if source != base and source not in joined:
        message = f"{where} is '{column}'; source '{source}' is not joined.{near(source, joined | {base})}"
        raise ValueError(message)
    known = [*sources[source].columns, *sources[source].times]
    if name not in known:
        message = f"{where} is '{column}', which source '{source}' does not have.{near(name, known)}"
        raise ValueError(message)
    return source, name


def _hindsight(where: str, column: str, known: str) -> str:
    return (
        f"{where} uses '{column}' of its own row, which is known only at '{known}', after the prediction is made. "
        "Remove it, or use it as history of other rows (history_of)."
    )
