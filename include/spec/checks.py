"""
Checks of a source, named after the Great Expectations rules that carry them out.

There are two kinds. A check of rows (values, pairs of values) sends the rows that fail to quarantine. A check of a
whole column (a mean, a share, a number of distinct values) cannot name bad rows, and stops the run.
"""

from typing import Annotated, Literal

from pydantic import Field

from include.spec.strict import Share, StrictModel

Level = Literal["error", "warning"]


class _ColumnCheck(StrictModel):
    """The keys that all checks of one column have."""

    column: str
    """The column that is checked."""
    level: Level = "error"
    """``error``: bad rows go to quarantine, or the run stops; ``warning``: only reported."""
    meaning: str = ""
    """Why the rule holds, for the report."""

    def columns_used(self) -> tuple[str, ...]:
        """The columns that the check reads."""
        return (self.column,)


class BetweenCheck(_ColumnCheck):
    """Values lie between two numbers, ends included; nulls pass."""

    rule: Literal["expect_column_values_to_be_between"]
    """Name of the rule."""
    min_value: float | None = None
    """Smallest allowed value; no limit if left out."""
    max_value: float | None = None
    """Largest allowed value; no limit if left out."""


class InSetCheck(_ColumnCheck):
    """Values are of a closed list; nulls pass."""

    rule: Literal["expect_column_values_to_be_in_set"]
    """Name of the rule."""
    value_set: Annotated[tuple[str | int, ...], Field(min_length=1)]
    """The allowed values."""


class RegexCheck(_ColumnCheck):
    """Texts match a regular expression; nulls pass."""

    rule: Literal["expect_column_values_to_match_regex"]
    """Name of the rule."""
    regex: str
    """Regular expression that a text must match."""


class LengthCheck(_ColumnCheck):
    """Texts have a length in characters; nulls pass."""

    rule: Literal["expect_column_value_lengths_to_be_between"]
    """Name of the rule."""
    min_value: int | None = None
    """Fewest characters; no limit if left out."""
    max_value: int | None = None
    """Most characters; no limit if left out."""


class NotNullCheck(_ColumnCheck):
    """Values are there."""

    rule: Literal["expect_column_values_to_not_be_null"]
    """Name of the rule."""


class PairCheck(StrictModel):
    """In each row the first column is greater than the second; rows with a null in either pass."""

    rule: Literal["expect_column_pair_values_a_to_be_greater_than_b"]
    """Name of the rule."""
    column_a: str
    """The column with the greater value."""
    column_b: str
    """The column with the smaller value."""
    or_equal: bool = True
    """Whether equal values pass."""
    level: Level = "error"
    """``error``: bad rows go to quarantine; ``warning``: only reported."""
    meaning: str = ""
    """Why the rule holds, for the report."""

    def columns_used(self) -> tuple[str, ...]:
        """The columns that the check reads."""
        return (self.column_a, self.column_b)


class MeanCheck(_ColumnCheck):
    """The column's mean lies between two numbers."""

    rule: Literal["expect_column_mean_to_be_between"]
    """Name of the rule."""
    min_value: float | None = None
    """Smallest allowed mean; no limit if left out."""
    max_value: float | None = None
    """Largest allowed mean; no limit if left out."""


class DistinctCheck(_ColumnCheck):
    """The number of distinct values lies between two numbers."""

    rule: Literal["expect_column_unique_value_count_to_be_between"]
    """Name of the rule."""
    min_value: int = Field(ge=0)
    """Fewest distinct values."""
    max_value: int | None = None
    """Most distinct values; no limit if left out."""


class NullShareCheck(_ColumnCheck):
    """At least this share of the values is there; the run stops below it."""

    rule: Literal["expect_column_proportion_of_non_null_values_to_be_between"]
    """Name of the rule."""
    min_value: Share
    """Smallest allowed share of values that are there."""
    max_value: Share = 1.0
    """Largest allowed share of values that are there."""


# With a discriminator pydantic reports the mistakes in the rule that is named; without one, those in all nine rules.
Check = Annotated[
    BetweenCheck
    | InSetCheck
    | RegexCheck
    | LengthCheck
    | NotNullCheck
    | PairCheck
    | MeanCheck
    | DistinctCheck
    | NullShareCheck,
    Field(discriminator="rule"),
]

ROW_RULES = frozenset(
    {
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_match_regex",
        "expect_column_value_lengths_to_be_between",
        "expect_column_values_to_not_be_null",
        "expect_column_pair_values_a_to_be_greater_than_b",
    }
)
"""Rules of rows: Great Expectations reports the index of each row that fails, and these rows go to quarantine."""
