"""The result of a validation: rules and counts, never a row's values."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from include.contract.receipt import Json
from include.spec.checks import Level

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    Mask = np.ndarray[Any, np.dtype[np.bool_]]

Kind = Literal["rows", "partition"]
"""Whether a rule is about single rows, or about the partition as a whole."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one rule on one source's partition."""

    rule: str
    """Name in reasons and messages: ``unique_key``, ``expect_column_values_to_be_between(hour)``."""
    kind: Kind
    level: Level = "error"
    checked: int
    """How many rows, or values that are not null, the rule checked."""
    failed: int = 0
    """Rows that break the rule; for a rule of the partition as a whole, 1 if it is broken."""
    observed: float | None = None
    """A count, a share or a mean of many values; None where it would reveal a single one."""
    allowed: str = ""
    """What the spec allows, for messages."""
    meaning: str = ""
    """Why the rule holds, from the spec."""
    bad: "Mask | None" = field(default=None, repr=False, compare=False)
    """Shape (rows,): true for the rows that break it; None if none does, or the rule is about the partition."""

    @property
    def passed(self) -> bool:
        """Whether the rule holds."""
        return not self.failed

    def summary(self) -> str:
        """The finding in one line, for a message."""
        if self.kind == "rows":
            return f"{self.rule}: {self.failed} of {self.checked} rows"
        value = "" if self.observed is None else f" observed {self.observed:.6g},"
        return f"{self.rule}:{value} allowed {self.allowed}" if self.allowed else f"{self.rule}:{value} broken"

    def document(self) -> Json:
        """The finding as JSON."""
        document: Json = {
            "rule": self.rule,
            "kind": self.kind,
            "level": self.level,
            "passed": self.passed,
            "checked": self.checked,
            "failed": self.failed,
            "allowed": self.allowed,
            "meaning": self.meaning,
        }
        return document if self.observed is None else document | {"observed": self.observed}


@dataclass(frozen=True, kw_only=True)
class SourceValidation:
    """The result of all rules on one source's partition."""

    source: str
    rows: "pa.Table" = field(repr=False)
    """The rows as they were ingested, in their order."""
    findings: tuple[Finding, ...]
    bad: "Mask" = field(repr=False)
    """Shape (rows,): true for the rows that go to quarantine."""
    quarantine_at_most: float
    """Largest share of rows in quarantine with which the partition still passes, from 0 to 1."""

    @property
    def quarantined(self) -> int:
        """How many rows go to quarantine."""
        return int(self.bad.sum())

    @property
    def share(self) -> float:
        """The share of the rows that goes to quarantine, from 0 to 1."""
        return self.quarantined / self.rows.num_rows if self.rows.num_rows else 0.0

    @property
    def faults(self) -> list[str]:
        """Why the partition is rejected, a sentence each; empty if it passes."""
        # Bad rows alone reject nothing: they go to quarantine, and only their share counts.
        broken = [finding for finding in self.findings if not finding.passed and finding.level == "error"]
        faults = [finding.summary() for finding in broken if finding.kind == "partition"]
        if self.rows.num_rows and self.quarantined == self.rows.num_rows:
            faults.append(f"none of the {self.rows.num_rows} rows is good")
        if self.share > self.quarantine_at_most:
            rules = ", ".join(finding.summary() for finding in broken if finding.kind == "rows")
            faults.append(
                f"{self.quarantined} of {self.rows.num_rows} rows ({self.share:.2%}) are bad, quarantine_at_most is "
                f"{self.quarantine_at_most:.2%} ({rules})"
            )
        return faults

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
