"""The history of a round, from the log and from the notes of its jobs, and the invariants that it must satisfy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from databuild.event_log.reads import Reader
from databuild.event_log.tables import CLAIMS, LEASES
from databuild.event_log.verify import verify
from databuild.model import statuses
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt

_PAGE = 10_000
_ENDED_BY_OTHERS = "build again to continue"


class Run(NamedTuple):
    """The notes of one job run about itself.

    Attributes:
        token: Its fencing token.
        job_run_id: Its id.
        refs: Its outputs.
        lines: The numbers of its lines in the file, in order.
    """

    token: int
    job_run_id: str
    refs: tuple[str, ...]
    lines: list[int]

    @property
    def build(self) -> str:
        return self.job_run_id.split(".")[0]


def read_notes(path: Path) -> dict[int, Run]:
    """Returns the job runs in a file of notes, by fencing token.

    Each line has a word, the token, the job run and its refs.
    """
    runs: dict[int, Run] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        what, token, job_run_id, *refs = line.split()
        assert what != "missing", f"a job run was started before its inputs were made: {line}"
        run = runs.setdefault(int(token), Run(int(token), job_run_id, tuple(refs), []))
        assert run.job_run_id == job_run_id, f"two job runs have one token: {line}"
        run.lines.append(number)
    return dict(sorted(runs.items()))


def check_log(reader: Reader) -> None:
    """Checks that a log has no fault, that all of its builds have ended, and that no lease and no claim is left."""
    assert verify(reader).reported == ()
    for status in statuses.BUILD.open:
        assert list(reader.builds(status=status)) == [], "builds have no end"
    assert list(reader.rows(LEASES)) == list(reader.rows(CLAIMS)) == []


class History:
    """Everything that was written to a log.

    Attributes:
        ended_by_others: The position at which others ended a build, by build.
        scheduled: The position at which a job run was scheduled, by job run.
        made: The job runs that made a ref available, in order, by ref.
        late: The events of late results, by position.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.ended_by_others: dict[str, int] = {}
        self.scheduled: dict[str, int] = {}
        self.made: defaultdict[str, list[str]] = defaultdict(list)
        self.late: dict[int, ev.LateResultEvent] = {}
        self._sequences: defaultdict[str, list[int]] = defaultdict(list)
        for position, event in reader.all_events(limit=_PAGE * 100):
            self._take(position, event)

    def _take(self, position: int, event: ev.BuildEvent) -> None:
        build = event.build_request_id
        self._sequences[build].append(event.sequence)
        kind = event.WhichOneof("event")
        if kind == "build_request" and _ENDED_BY_OTHERS in event.build_request.failure.message:
            self.ended_by_others[build] = position
        elif kind == "job" and event.job.status == ev.JOB_STATUS_SCHEDULED:
            self.scheduled[event.job.job_run_id] = position
        elif kind == "partition" and event.partition.status == pt.PARTITION_STATUS_BUILDING:
            assert event.partition.ref not in self.made, f"built again though it was finished: {event}"
        elif kind == "partition" and event.partition.status == pt.PARTITION_STATUS_AVAILABLE:
            self.made[event.partition.ref].append(event.partition.job_run_id)
        elif kind == "late_result":
            self.late[position] = event.late_result

    def check(self) -> None:
        """Checks what must be true of any log whose builds have all ended."""
        check_log(self.reader)
        for build, sequences in self._sequences.items():
            assert sequences == list(range(1, len(sequences) + 1)), f"gaps in {build}"
        assert {ref: runs for ref, runs in self.made.items() if len(runs) > 1} == {}, "made twice"
        for position, late in self.late.items():
            assert self.ended_by_others[late.target_build_request_id] < position

    def check_runs(self, runs: Mapping[int, Run]) -> None:
        """Checks that at most one run of a partition counted at any time, and none after it was available."""
        by_ref: defaultdict[str, list[Run]] = defaultdict(list)
        for run in runs.values():
            for ref in run.refs:
                by_ref[ref].append(run)
        for ref, of_ref in by_ref.items():
            for number, older in enumerate(of_ref):
                for newer in of_ref[number + 1 :]:
                    self._check_two(ref, older, newer)
        for ref, (job_run_id,) in self.made.items():
            assert any(run.job_run_id == job_run_id for run in by_ref[ref]), f"nobody made {ref}"

    def _check_two(self, ref: str, older: Run, newer: Run) -> None:
        told = f"{ref}: {older}, and then {newer}"
        assert older.job_run_id not in self.made[ref], f"built again though it was finished: {told}"
        if older.lines[-1] > newer.lines[0]:
            assert older.build in self.ended_by_others, f"two runs at once: {told}"
            if newer.job_run_id in self.scheduled:
                assert self.ended_by_others[older.build] < self.scheduled[newer.job_run_id], f"too early: {told}"
