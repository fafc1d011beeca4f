"""Uses of the data of a base that must stay: by open builds of the base and of its environments.

An environment uses data of the base as it is. Its builds read it, and it shares the place of data that was promoted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import Final

from databuild.event_log.open import EnvironmentLogs
from databuild.event_log.overlay.reader import OverlayReader
from databuild.event_log.reads import PlacedDataReads, Reader
from databuild.job.locations import ENVIRONMENTS_FOLDER
from databuild.model.paging import read_pages
from databuild.model.records import PlacedData
from databuild.orchestration.coordination.dead_builds import engine_of, find_dead_builds
from databuild.orchestration.coordination.planned_uses import PlannedUses
from databuild.orchestration.stores.places import SharedPlaces

_PAGE: Final = 10_000


class DataUses:
    """Uses of partitions by open builds.

    Attributes:
        faults: The reason why the data of a partition must stay, by ref.
        planning: The builds that are planning, in words. Nothing is known of their inputs yet.
    """

    def __init__(self, reader: Reader, logs: EnvironmentLogs | None, refs: Sequence[str]) -> None:
        """Reads the plans of all open builds.

        Args:
            reader: Reads the log of the base.
            logs: The logs of its environments; None if there are none.
            refs: The partitions.
        """
        planned = PlannedUses(reader)
        self.planning = list(planned.planning)
        self.faults = {ref: fault for ref in refs if (fault := planned.fault(ref))}
        if logs is None:
            return
        for name in logs.names():
            with closing(logs.reader(name)) as overlay:
                self._add(name, overlay, [ref for ref in refs if ref not in self.faults])

    def _add(self, environment: str, overlay: OverlayReader, refs: Sequence[str]) -> None:
        own = overlay.own
        # The next build of the environment ends these.
        dead = [build for build in find_dead_builds(own) if not engine_of(own, build)]
        planned = PlannedUses(own, ignored=dead)
        self.planning += [f"{build} of the environment {environment}" for build in planned.planning]
        read = {ref: fault for ref in refs if (fault := planned.read_fault(ref))}
        for ref in read.keys() - overlay.own_refs(read):
            self.faults[ref] = f"{read[ref]} in the environment {environment}"


def places_in_environments(places: Mapping[str, str], logs: EnvironmentLogs | None) -> dict[str, str]:
    """Returns, by ref, why data at a place in an environment must stay: the environment has the data as well.

    Args:
        places: The URIs of data of the base, by ref. Promoted data is at the place of its environment.
        logs: The logs of the environments; None if there are none.
    """
    faults: dict[str, str] = {}
    if logs is None:
        return faults
    for name in logs.names():
        inside = {ref: uri for ref, uri in places.items() if f"/{ENVIRONMENTS_FOLDER}/{name}/" in uri}
        if inside:
            shared = SharedPlaces(inside)
            with closing(logs.reader(name)) as overlay:
                for page in all_rows(overlay.own):
                    shared.compare(page, of_another_log=True)
            words = f"in the environment {name}; remove that first"
            faults.update((ref, f"{fault} {words}") for ref, fault in shared.faults.items())
    return faults


def all_rows(reader: PlacedDataReads) -> Iterable[Sequence[PlacedData]]:
    """Yields all recorded data, in pages."""
    return read_pages(
        lambda after, limit: reader.placed_data_under(after=after, limit=limit),
        key=lambda row: row.ref,
        start="",
        size=_PAGE,
    )
