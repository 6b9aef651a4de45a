"""What judging found: rules and counts, never a row's values."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from include.contract.receipt import Json
from include.spec.checks import Level

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Mask = np.ndarray[Any, np.dtype[np.bool_]]

Kind = Literal["rows", "partition"]
"""Whether a rule points at bad rows, or judges the partition as a whole."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one rule found in one source's partition."""

    rule: str
    """``unique_key``, ``expect_column_values_to_be_between(hour)``: as it stands in reasons and messages."""
    kind: Kind
    level: Level = "error"
    checked: int
    """Rows, or values that are there, that the rule looked at."""
    failed: int = 0
    """Rows that break the rule; for a rule of the partition 1 if it is broken."""
    observed: float | None = None
    """A count, a share or a mean of many values."""
    allowed: str = ""
    """What the spec allows, in words."""
    meaning: str = ""
    """Why the rule holds, from the spec."""
    bad: "Mask | None" = field(default=None, repr=False, compare=False)
    """Which rows break it, where a rule of rows is broken."""

    @property
    def passed(self) -> bool:
        """Whether nothing breaks the rule."""
        return not self.failed

    def summary(self) -> str:
        """The finding in a few words, for a message."""
        if self.kind == "rows":
            return f"{self.rule}: {self.failed} of {self.checked} rows"
        seen = "" if self.observed is None else f" found {self.observed:.6g},"
        return f"{self.rule}:{seen} allowed {self.allowed}" if self.allowed else f"{self.rule}:{seen} broken"

    def document(self) -> Json:
        """The finding as JSON."""
        found: Json = {
            "rule": self.rule,
            "kind": self.kind,
            "level": self.level,
            "passed": self.passed,
            "checked": self.checked,
            "failed": self.failed,
            "allowed": self.allowed,
            "meaning": self.meaning,
        }
        return found if self.observed is None else found | {"observed": self.observed}


@dataclass(frozen=True, kw_only=True)
class SourceValidation:
    """What all rules together say of one source's partition."""

    source: str
    rows: "pa.Table" = field(repr=False)
    """The rows as they were ingested, in their order."""
    findings: tuple[Finding, ...]
    bad: "Mask" = field(repr=False)
    """Which rows go to quarantine."""
    quarantine_at_most: float

    @property
    def quarantined(self) -> int:
        """How many rows go to quarantine."""
        return int(self.bad.sum())

    @property
    def share(self) -> float:
        """The part of the rows that goes to quarantine."""
        return self.quarantined / self.rows.num_rows if self.rows.num_rows else 0.0

    @property
    def faults(self) -> list[str]:
        """Why the partition may not pass; empty if it may."""
        broken = [finding for finding in self.findings if not finding.passed and finding.level == "error"]
        told = [finding.summary() for finding in broken if finding.kind == "partition"]
        if self.rows.num_rows and self.quarantined == self.rows.num_rows:
            told.append(f"none of the {self.rows.num_rows} rows is good")
        if self.share > self.quarantine_at_most:
            rules = ", ".join(finding.summary() for finding in broken if finding.kind == "rows")
            told.append(
                f"{self.quarantined} of {self.rows.num_rows} rows ({self.share:.2%}) are bad, quarantine_at_most is "
                f"{self.quarantine_at_most:.2%} ({rules})"
            )
        return told

    def document(self) -> Json:
        """The validation as JSON."""
        return {
            "source": self.source,
            "passed": not self.faults,
            "rows": self.rows.num_rows,
            "rows_quarantined": self.quarantined,
            "quarantine_at_most": self.quarantine_at_most,
            "faults": list(self.faults),
            "rules": [finding.document() for finding in self.findings],
        }
