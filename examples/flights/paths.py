"""Refs and data files of the flights example.

Data is in the directory `FLIGHTS_DATA`; by default in `data/` of the workspace, or of the working directory outside
`bazel run`. `config` of every job imports this module, so it imports only `os`, to start fast.
"""

import os

from databuild.job import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

YEAR = 2013
"""The year of the archive."""


def data_file(ref: str, suffix: str = ".parquet") -> str:
    """Returns the path of the file of a partition."""
    root = os.environ.get("FLIGHTS_DATA")
    if not root:
        root = os.path.join(os.environ.get("BUILD_WORKSPACE_DIRECTORY", "."), "data")  # noqa: PTH118
    return f"{root}/{ref}{suffix}"


def value(ref: str) -> str:
    """Returns the value of the field of a ref: `2013-01` for `carrier_report/month=2013-01`.

    Raises:
        ConfigError: The archive does not have that year.
    """
    text = ref.rpartition("=")[2]
    if text[:4] != str(YEAR):
        raise ConfigError(f"{ref!r}: the archive has only flights of {YEAR}")
    return text


def days(month: str) -> list[str]:
    """Returns the days of a month: `2013-02-01` to `2013-02-28` for `2013-02`."""
    number = int(month[5:])
    length = 28 if number == 2 else 30 if number in {4, 6, 9, 11} else 31
    return [f"{month}-{day:02}" for day in range(1, length + 1)]


def months() -> list[str]:
    """Returns the months of the archive, such as `2013-01`."""
    return [f"{YEAR}-{month:02}" for month in range(1, 13)]


def by_month(refs: "Sequence[str]") -> list[str]:
    """Returns the distinct months of refs, sorted."""
    return sorted({value(ref)[:7] for ref in refs})
