"""The joins of the spec, with a count of the rows that each one keeps, loses and does not match."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.contract.measures import JoinSummary
from include.errors import ConfigurationError, DataRejectedError, foreign, listed
from include.spec.features import FeatureSetSpec, JoinSpec
from include.steps.features.sources import SourceRows

UNMATCHED = -1


@dataclass(frozen=True)
class JoinCount:
    """What one join did to the rows."""

    source: str
    how: Literal["left", "inner"]
    rows_before: int
    rows_after: int
    unmatched: int
    """Rows without a match: kept with nulls by a left join, lost by an inner one."""

    @property
    def unmatched_share(self) -> float:
        """Of the rows before the join."""
        return self.unmatched / self.rows_before if self.rows_before else 0.0

    def described(self) -> JoinSummary:
        """As it is written down."""
        return JoinSummary(**asdict(self), unmatched_share=round(self.unmatched_share, 6))


@dataclass(frozen=True)
class Match:
    """The rows of one joined source that match rows of the base."""

    right: SourceRows
    keys: pd.DataFrame
    """The columns of the base that were joined on."""
    taken: pd.DataFrame
    """The joined source's columns as ``<source>_<column>``, one row per row of ``keys``, null without a match."""
    matched: NDArray[np.bool_]
    """Shape (rows of ``keys``,)."""


@dataclass(frozen=True)
class Joined:
    """The base source's rows with the joined sources' columns."""

    frame: pd.DataFrame
    """One row per kept row of the base, its index label kept; joined columns as ``<source>_<column>``."""
    counts: tuple[JoinCount, ...]
    matches: tuple[Match, ...]
    """One for each join; the leak test reuses those of which neither side has changed."""


def joined(
    features: FeatureSetSpec, sources: Mapping[str, SourceRows], earlier: tuple[Match, ...] | None = None
) -> Joined:
    """
    Join the sources to the base in the order of the spec; :func:`reconcile` checks how many rows matched.

    :param sources: the base and all joined sources, by name.
    :param earlier: matches of the same joins for other states of the sources, to be reused where they still hold.
    :raises DataRejectedError: if a row of the base has several matches.
    :raises ConfigurationError: if columns collide, or columns to join on have types that cannot be equal.
    """
    frame, counts, matches = sources[features.base].rows, [], []
    for number, join in enumerate(features.joins):
        match = _match(frame, join, sources[join.source], earlier[number] if earlier else None)
        taken, before = match.taken, len(frame)
        duplicated = set(taken.columns) & set(frame.columns)
        if duplicated:
            message = f"Columns {listed(duplicated)} of joined source '{join.source}' exist already."
            raise ConfigurationError(message + " Rename the source or the columns.")
        if join.how == "inner":
            frame, taken = frame[match.matched], taken[match.matched]
        frame = pd.concat([frame, taken], axis="columns")
        unmatched = int((~match.matched).sum())
        counts.append(JoinCount(join.source, join.how, before, len(frame), unmatched))
        matches.append(match)
    return Joined(frame, tuple(counts), tuple(matches))


def reconcile(features: FeatureSetSpec, counts: tuple[JoinCount, ...], where: str) -> None:
    """
    Refuse a join that lost, or left without a match, more rows than the spec allows.

    :param where: the partition, for messages.
    :raises DataRejectedError: naming the join, the shares and what is allowed.
    """
    for join, count in zip(features.joins, counts, strict=True):
        inner = join.how == "inner"
        name, limit = ("may_lose", join.may_lose) if inner else ("unmatched_at_most", join.unmatched_at_most)
        if count.unmatched_share <= limit:
            continue
        doing = "loses" if inner else "has no match for"
        message = (
            f"{where}: the join of '{join.source}' on {_on(join)} {doing} {count.unmatched} of {count.rows_before} "
            f"rows ({count.unmatched_share:.2%}); {name} allows {limit:.2%}. "
        )
        cure = "Join it how: left, complete" if inner else "Complete"
        raise DataRejectedError(message + f"{cure} source '{join.source}', or raise {name} of the join in the spec.")


def _match(frame: pd.DataFrame, join: JoinSpec, right: SourceRows, earlier: Match | None) -> Match:
    keys = frame[list(join.on)]
    # The leak test joins again at each of its moments; a register that is always known gives the same match each time.
    if earlier is not None and earlier.right is right and earlier.keys.equals(keys):
        return earlier
    positions = _positions(keys, join, right)
    # Position -1 is no label of the fresh index, so rows without a match become nulls.
    taken = right.rows.reset_index(drop=True).reindex(positions).add_prefix(f"{right.name}_").set_axis(frame.index)
    return Match(right, keys, taken, positions != UNMATCHED)


def _positions(keys: pd.DataFrame, join: JoinSpec, right: SourceRows) -> NDArray[np.int64]:
    """For each row of the base the position of its match among the joined source's rows, or -1."""
    left_on, right_on = list(join.on), list(join.on.values())
    # The column of positions has the empty name, which no column of a spec can have.
    candidates = right.rows[right_on].set_axis(left_on, axis="columns").assign(**{"": np.arange(len(right.rows))})
    # pandas merges a null key with a null key; SQL, and a reader of the spec, would not.
    candidates = candidates.dropna(subset=left_on)
    duplicates = int(candidates.duplicated(left_on).sum())
    if duplicates:
        message = (
            f"Join of '{join.source}' on {_on(join)}: {duplicates} rows of '{join.source}' have the same values there "
            "as another row, so that rows of the base would be duplicated. Join on columns that identify one row, or "
            "make them the source's key."
        )
        raise DataRejectedError(message)
    try:
        positions = keys.merge(candidates, how="left", on=left_on)[""]
    except ValueError as error:
        message = f"Join of '{join.source}' on {_on(join)}: the columns' types do not fit: {foreign(error)}"
        raise ConfigurationError(message + " Give both the same type in the spec.") from error
    return positions.fillna(UNMATCHED).to_numpy(dtype=np.int64)


def _on(join: JoinSpec) -> str:
    return ", ".join(left if left == right else f"{left} = {right}" for left, right in join.on.items())
