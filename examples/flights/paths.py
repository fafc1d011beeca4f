"""Refs of the flights example, and where the data of a partition lies.

Everything is under `data/` of the workspace (or of the working directory, outside `bazel run`), or under the folder
that `FLIGHTS_DATA` names. Every job imports this to be configured, so it imports nothing itself but `os`.
"""

import os

from databuild.job import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

YEAR = 2013
"""The year that the archive holds."""


def data_file(ref: str, suffix: str = ".parquet") -> str:
    """Returns the path of a partition's file: the ref, with an ending."""
    root = os.environ.get("FLIGHTS_DATA")
    if not root:
        root = os.path.join(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."), "data")  # noqa: PTH118
    return f"{root}/{ref}{suffix}"


def value(ref: str) -> str:
    """Returns the value of a ref's field: `2013-01` of `carrier_report/month=2013-01`.

    Raises:
        ConfigError: The archive holds nothing of that time.
    """
    text = ref.rpartition("=")[2]
    if text[:4] != str(YEAR):
        raise ConfigError(f"{ref!r}: the archive holds the flights of {YEAR} only")
    return text


def days(month: str) -> list[str]:
    """Returns the days of a month: `2013-02-01` to `2013-02-28` of `2013-02`."""
    number = int(month[5:])
    length = 28 if number == 2 else 30 if number in {4, 6, 9, 11} else 31
    return [f"{month}-{day:02}" for day in range(1, length + 1)]


def months() -> list[str]:
    """Returns the months of the year that the archive holds."""
    return [f"{YEAR}-{month:02}" for month in range(1, 13)]


def by_month(refs: "Sequence[str]") -> list[str]:
    """Returns the months that the days of refs are in, each once, in order."""
    return sorted({value(ref)[:7] for ref in refs})
