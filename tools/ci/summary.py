"""Prints the result of all tests from Bazel's build events: summary.py FOLDER FAILED.

The last line is "N passed, N failed", in test cases, with ", N skipped" if there are any. A test target that fails
without a failed test case, such as one that does not build or times out, counts as one. FAILED is the number of failed
checks that are no tests of Bazel. Exits with 4 if no test ran and nothing failed.

Needs only the standard library. https://bazel.build/remote/bep-glossary describes the events.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

_SUITE = re.compile(r"<testsuite\s[^>]*>")
_PASSED = {"PASSED", "FLAKY"}


class Counts(NamedTuple):
    """Numbers of test cases."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(*(one + more for one, more in zip(self, other, strict=True)))


def summary(folder: Path, failed_checks: int) -> tuple[list[str], Counts]:
    """Returns the failed test targets with their status, and the number of test cases.

    Args:
        folder: Contains a file of build events of each workspace, named `*.json`.
        failed_checks: The number of failed checks that are no tests of Bazel.
    """
    failures: list[str] = []
    total = Counts(failed=failed_checks)
    for file in sorted(folder.glob("*.json")):
        cases: dict[str, dict[tuple[int, int], Counts]] = {}
        for event in _events(file):
            if result := event.get("testResult"):
                this = event["id"]["testResult"]
                # The last attempt replaces those before.
                cases.setdefault(this["label"], {})[this.get("run", 0), this.get("shard", 0)] = _counts(result)
            elif ended := event.get("testSummary"):
                label, status = event["id"]["testSummary"]["label"], ended["overallStatus"]
                counts = Counts()
                for one in cases.get(label, {}).values():
                    counts = counts.plus(one)
                if status not in _PASSED:
                    failures.append(f"{status}: {label}")
                    counts = counts._replace(failed=max(1, counts.failed))
                total = total.plus(counts)
            elif event.get("aborted", {}).get("reason") == "SKIPPED":
                total = total.plus(Counts(skipped=1))
    return failures, total


def _events(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _counts(result: dict[str, Any]) -> Counts:
    """Returns the number of test cases in the report of a test."""
    for output in result.get("testActionOutput", ()):
        if output["name"] == "test.xml":
            report = Path(unquote(urlsplit(output["uri"]).path))
            suite = _SUITE.search(report.read_text(encoding="utf-8", errors="replace")) if report.exists() else None
            if suite:
                numbers = {name: int(number) for name, number in re.findall(r'\b(\w+)="(\d+)"', suite[0])}
                failed = numbers.get("failures", 0) + numbers.get("errors", 0)
                skipped = numbers.get("skipped", 0)
                return Counts(max(0, numbers.get("tests", 0) - failed - skipped), failed, skipped)
    return Counts()


def main(folder: Path, failed_checks: int) -> int:
    """Prints the failed test targets and the summary, and returns the exit code."""
    failures, counts = summary(folder, failed_checks)
    if failures:
        print(*failures, sep="\n")
    if counts.passed == counts.failed == 0:
        print("No test ran.", file=sys.stderr)
    print(f"{counts.passed} passed, {counts.failed} failed" + (f", {counts.skipped} skipped" if counts.skipped else ""))
    return 4 if counts.passed == counts.failed == 0 else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
