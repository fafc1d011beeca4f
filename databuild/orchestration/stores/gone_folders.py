"""Guards against unmounted disks: if a whole folder with many partitions is gone, its data may not be lost."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from databuild.event_log.reads import StoredDataReads
from databuild.job.locations import file_uri
from databuild.model.store_check import StoreFinding

MIN_PARTITIONS: Final = 10
"""The number of partitions of a folder from which on it is not believed that the data of all of them is lost."""

_SAMPLE: Final = 1000
"""The maximum number of further partitions whose places are read to count those of a folder."""


def gone_folders(paths: Iterable[tuple[str, str]]) -> Mapping[str, Sequence[str]]:
    """Returns the folders that are gone, with the refs of missing data below each.

    A folder is gone if it does not exist, or if it is empty, as the place of a disk is that is not mounted. If several
    folders on the way to a file are gone, it is the outermost one.

    Args:
        paths: Pairs of a ref and the folder of its data, where nothing was found.
    """
    known: dict[str, str] = {}
    gone: dict[str, list[str]] = {}
    for ref, folder in paths:
        if folder not in known:
            known[folder] = _outermost(folder)
        if known[folder]:
            gone.setdefault(known[folder], []).append(ref)
    return gone


def guarded(
    findings: Sequence[StoreFinding], gone: Mapping[str, Sequence[str]], reader: StoredDataReads
) -> tuple[tuple[StoreFinding, ...], str]:
    """Turns missing data below folders that are gone into unreadable data, if they had many partitions.

    Args:
        findings: The findings of a look.
        gone: The folders that are gone, with the refs of missing data below each.
        reader: Reads the places of other partitions.

    Returns:
        The findings, and the fault of the first such folder; empty if there is none.
    """
    faults = faults_of(gone, reader)
    if not faults:
        return tuple(findings), ""
    return tuple(
        StoreFinding(one.ref, "unreadable", one.uri, faults[one.ref])
        if one.kind == "missing" and one.ref in faults
        else one
        for one in findings
    ), next(iter(faults.values()))


def faults_of(gone: Mapping[str, Sequence[str]], reader: StoredDataReads) -> Mapping[str, str]:
    """Returns, by ref, why nothing is known of data below folders that are gone and had many partitions.

    Args:
        gone: The folders that are gone, with the refs of missing data below each.
        reader: Reads the places of other partitions.
    """
    faults: dict[str, str] = {}
    for folder, refs in gone.items():
        count = len(refs)
        if count < MIN_PARTITIONS:
            beginning = file_uri(folder) + "/"
            others = reader.stored_data_under(refs[0].partition("/")[0] + "/", limit=_SAMPLE)
            places = {one.ref for one in others if one.location and one.location.uri.startswith(beginning)}
            count = len(places.union(refs))
        if count >= MIN_PARTITIONS:
            is_empty = os.path.isdir(folder)  # noqa: PTH112
            state = "is empty" if is_empty else "does not exist"
            fault = f"{folder} {state}, where {count:,} or more partitions were; its disk may not be mounted"
            faults.update(dict.fromkeys(refs, fault))
    return faults


def _outermost(folder: str) -> str:
    gone = ""
    while folder:
        try:
            with os.scandir(folder) as entries:
                return folder if next(entries, None) is None else gone
        except FileNotFoundError:
            gone = folder
        except OSError:  # such as a file in its place
            return gone
        folder = folder.rpartition("/")[0]
    return gone
