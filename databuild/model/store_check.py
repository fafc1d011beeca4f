"""Checks of stores: what was found at the places of data, and the options of such a check.

NamedTuples, as records are: the command line prints them without importing `dataclasses`.
"""

from __future__ import annotations

from typing import Final, Literal

from databuild.tuples import NamedTuple

FindingKind = Literal["missing", "changed", "unreadable"]

REPORT: Final = "report"
REBUILD: Final = "rebuild"
ADOPT: Final = "adopt"

POLICIES: Final = (REPORT, REBUILD, ADOPT)
"""The policies for changed data: only report it, rebuild it with the next build, or use it from now on as it is."""


class StoreFinding(NamedTuple):
    """Something that is not as recorded at the place of a partition.

    Attributes:
        ref: The partition.
        kind: The finding.
        uri: The recorded place.
        detail: The difference, in a few words; empty for missing data.
    """

    ref: str
    kind: FindingKind
    uri: str
    detail: str = ""


class StoreCheckOptions(NamedTuple):
    """The options of a check of stores.

    Attributes:
        content: True to compare the content of data whose version is a digest that can be computed.
        changed: The policy for changed data, one of `POLICIES`.
        dry_run: True to record nothing.
        confirm_losses: True to believe that data is lost if a whole folder with many partitions is gone, or if a job
            finds none of its partitions. Otherwise it is unreadable, since a disk may not be mounted.
    """

    content: bool = False
    changed: str = REPORT
    dry_run: bool = False
    confirm_losses: bool = False


class StoreCheck(NamedTuple):
    """The result of a check of stores, or of a part of it.

    Attributes:
        checked: The number of partitions that were looked at.
        not_looked_at: The number of partitions without a location, or with one of a scheme that is not looked at, whose
            jobs cannot answer either.
        findings: The findings, by ref.
        next_after: The last ref of this part, if another part may follow; empty at the end.
        hints: Steps after which partitions that were not looked at are looked at. Each is one sentence.
        without_facts: The number of partitions whose data exists and may have changed, since neither size nor version
            is recorded.
    """

    checked: int = 0
    not_looked_at: int = 0
    findings: tuple[StoreFinding, ...] = ()
    next_after: str = ""
    hints: tuple[str, ...] = ()
    without_facts: int = 0

    def plus(self, part: StoreCheck) -> StoreCheck:
        """Returns the result of this part and the next."""
        return StoreCheck(
            self.checked + part.checked,
            self.not_looked_at + part.not_looked_at,
            self.findings + part.findings,
            part.next_after,
            tuple(dict.fromkeys(self.hints + part.hints)),
            self.without_facts + part.without_facts,
        )

    def count(self, kind: FindingKind) -> int:
        """Returns the number of findings of a kind."""
        return sum(finding.kind == kind for finding in self.findings)
