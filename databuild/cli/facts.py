"""What commands ask about besides what the reader of the event log knows, on this machine.

`remote.py` asks a service the same. Imports next to nothing, since the commands that only read must answer at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from databuild.model.records import JobRunRecord
from databuild.orchestration.log_files import log_path, log_size, read_log

if TYPE_CHECKING:
    from databuild.cli.invocation import Invocation
    from databuild.v1.events_pb2 import BuildEvent

_LOOK_SECONDS = 1.0
_PAGE = 1000
TAIL_BYTES = 8192


class Facts(Protocol):
    """What is known of builds that the records of the event log do not tell."""

    def deaths(self, builds: Iterable[str]) -> Mapping[str, str]:
        """Returns why nothing more comes of builds that have not ended, by id; those that live are absent."""
        ...

    def death_of(self, build_request_id: str) -> str:
        """Returns a sentence about a build whose orchestrator has died; nothing where it may go on."""
        ...

    def waits(self, build_request_id: str) -> Sequence[str]:
        """Returns what resources a build waits for, and who has them."""
        ...

    def watch(self, build_request_id: str, after: int) -> Iterator[BuildEvent]:
        """Returns the events of a build after a sequence number, then new ones; ends when no more can come."""
        ...

    def sizes(self, *, count: bool) -> dict[str, int]:
        """Returns how large the event log is and, where it is to count, what it holds, and the job logs."""
        ...

    def log_path(self, job_run: JobRunRecord, stream: str) -> str:
        """Returns where a log lies."""
        ...

    def read_log(self, job_run: JobRunRecord, stream: str, offset: int) -> bytes:
        """Returns what stands in a log after an offset."""
        ...

    def tail_of_log(self, job_run: JobRunRecord, stream: str) -> bytes:
        """Returns the last bytes of a log."""
        ...

    def logs_pruned_before(self) -> float:
        """Returns when builds have ended at the latest whose logs were pruned for their age; 0 where none were."""
        ...


class LocalFacts:
    """What this machine knows."""

    def __init__(self, call: Invocation) -> None:
        """Takes the invocation, which knows where things are."""
        self._call = call
        self._reader = call.reader()

    def deaths(self, builds: Iterable[str]) -> Mapping[str, str]:
        """Returns why nothing more comes of builds."""
        from databuild.orchestration.dead_builds import find_dead

        dead = find_dead(self._reader)
        return {build: dead[build].fault for build in builds if build in dead}

    def death_of(self, build_request_id: str) -> str:
        """Returns a sentence about a build whose orchestrator has died."""
        from databuild.orchestration.build_ids import death_of

        return death_of(self._reader, build_request_id)

    def waits(self, build_request_id: str) -> Sequence[str]:
        """Returns what resources a build waits for."""
        from databuild.orchestration.waits import waits_of

        return waits_of(self._reader, build_request_id)

    def watch(self, build_request_id: str, after: int) -> Iterator[BuildEvent]:
        """Returns the events of a build, then new ones."""
        from databuild.model.lifecycle import BUILD_ENDS

        died = False
        while True:
            while page := self._reader.events(build_request_id, after_sequence=after, limit=_PAGE):
                yield from page
                after = page[-1].sequence
                if page[-1].build_request.status in BUILD_ENDS:
                    return
            if died:
                return
            # Looked for before the events are read again: what a dead build wrote last is all there.
            died = bool(self.death_of(build_request_id))
            if not died:
                self._reader.wait(_LOOK_SECONDS)

    def sizes(self, *, count: bool) -> dict[str, int]:
        """Returns how large the event log is."""
        if not count:
            return {"event_log_bytes": self._reader.size()}
        from databuild.orchestration.job_logs import bytes_under

        known = self._reader.sizes()
        return {
            "event_log_bytes": known.bytes,
            "builds": known.builds,
            "pruned_builds": known.pruned_builds,
            "events": known.events,
            "job_log_bytes": bytes_under(self._call.log_dir),
        }

    def log_path(self, job_run: JobRunRecord, stream: str) -> str:
        """Returns where a log lies."""
        return log_path(self._call.log_dir, job_run, stream)

    def read_log(self, job_run: JobRunRecord, stream: str, offset: int) -> bytes:
        """Returns what stands in a log after an offset."""
        return read_log(self.log_path(job_run, stream), offset)

    def tail_of_log(self, job_run: JobRunRecord, stream: str) -> bytes:
        """Returns the last bytes of a log; none where it cannot be read."""
        path = self.log_path(job_run, stream)
        try:
            return read_log(path, max(log_size(path) - TAIL_BYTES, 0))
        except OSError:
            return b""

    def logs_pruned_before(self) -> float:
        """Returns when builds have ended at the latest whose logs were pruned for their age."""
        from databuild.orchestration.job_logs import logs_pruned_before

        return logs_pruned_before(self._call.log_dir)
