"""What commands ask, asked of a service: a reader and facts like those of this machine, and what is to be done.

The only modules of the command line that import the client are this one and `remote_building.py`, and they are imported
only where a service is named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from databuild.cli.author import author
from databuild.cli.facts import TAIL_BYTES
from databuild.client import DatabuildClient, Tls
from databuild.errors import BuildNotFoundError, JobRunNotFoundError
from databuild.model.records import BuildPartitionRecord, BuildRecord, JobRunRecord, PartitionRecord
from databuild.v1.events_pb2 import BuildEvent

if TYPE_CHECKING:
    from databuild.cli.invocation import Invocation

TOKEN_VARIABLE = "DATABUILD_TOKEN"  # noqa: S105 (its name)


def client_settings(call: Invocation) -> dict[str, object]:
    """Returns what a client is told, besides where the service is."""
    files = {name: call.flags.get(name) for name in ("tls_ca", "tls_cert", "tls_key")}
    paths = {name: call.path(text) if text else "" for name, text in files.items()}
    tls = Tls(authority=paths["tls_ca"], certificate=paths["tls_cert"], key=paths["tls_key"])
    token = call.environ.get(TOKEN_VARIABLE, "")
    return {"token": token, "author": author(call), "graph": call.graph_label, "tls": tls}


class Remote:
    """A service, as commands see it.

    Attributes:
        client: Asks it.
    """

    def __init__(self, call: Invocation) -> None:
        """Takes the invocation, which names the service."""
        settings = client_settings(call)
        self.client = DatabuildClient(call.server, **settings)  # type: ignore[arg-type]
        self._ended: set[tuple[str, str]] = set()

    def reader(self) -> RemoteReader:
        """Returns what reads records."""
        return RemoteReader(self.client)

    def deaths(self, builds: Iterable[str]) -> Mapping[str, str]:
        """Returns why nothing more comes of builds."""
        told = {build: self.client.get(build).dead for build in dict.fromkeys(builds)}
        return {build: dead for build, dead in told.items() if dead}

    def death_of(self, _build_request_id: str) -> str:
        """Returns nothing: the service ends what has died."""
        return ""

    def waits(self, build_request_id: str) -> Sequence[str]:
        """Returns what resources a build waits for."""
        return list(self.client.get(build_request_id).waiting_for)

    def watch(self, build_request_id: str, after: int) -> Iterator[BuildEvent]:
        """Returns the events of a build, then new ones."""
        return self.client.watch(build_request_id, after=after)

    def sizes(self, *, count: bool) -> dict[str, int]:
        """Returns how large the event log is."""
        room = self.client.storage(count=count)
        if room.sizes is None:
            return {"event_log_bytes": room.event_log_bytes}
        return {
            "event_log_bytes": room.event_log_bytes,
            "builds": room.sizes.builds,
            "pruned_builds": room.sizes.pruned_builds,
            "events": room.sizes.events,
            "job_log_bytes": room.job_log_bytes,
        }

    def log_path(self, job_run: JobRunRecord, stream: str) -> str:
        """Returns where a log lies, on the machine of the service."""
        return self.client.read_log(job_run.job_run_id, stream=stream, limit=1).path

    def read_log(self, job_run: JobRunRecord, stream: str, offset: int) -> bytes:
        """Returns what stands in a log after an offset; what has ended is not asked for again."""
        found = b""
        while (job_run.job_run_id, stream) not in self._ended:
            piece = self.client.read_log(job_run.job_run_id, stream=stream, offset=offset)
            found += piece.data
            offset = piece.next_offset
            if piece.ended:
                self._ended.add((job_run.job_run_id, stream))
            elif not piece.data:
                break
        return found

    def tail_of_log(self, job_run: JobRunRecord, stream: str) -> bytes:
        """Returns the last bytes of a log."""
        size = self.client.read_log(job_run.job_run_id, stream=stream, limit=1).total_bytes
        offset = max(size - TAIL_BYTES, 0)
        return self.client.read_log(job_run.job_run_id, stream=stream, offset=offset).data

    def logs_pruned_before(self) -> float:
        """Returns when builds have ended at the latest whose logs were pruned for their age."""
        return self.client.storage().logs_pruned_before


class RemoteReader:
    """Reads what commands ask of a `Reader`, from a service."""

    def __init__(self, client: DatabuildClient) -> None:
        self._client = client

    def build(self, build_request_id: str) -> BuildRecord | None:
        """Returns one build."""
        try:
            build = self._client.get(build_request_id).build
        except BuildNotFoundError:
            return None
        return build if build.build_request_id == build_request_id else None  # not one whose id begins like that

    def builds_beginning(self, prefix: str, limit: int = 10) -> Sequence[str]:
        """Returns ids of builds that begin with a prefix, newest first."""
        try:
            return [self._client.get(prefix).build.build_request_id]
        except BuildNotFoundError as error:
            return error.candidates[:limit]

    def builds(self, *, status: str | None = None, before: str | None = None, limit: int = 20) -> Sequence[BuildRecord]:
        """Returns builds, newest first."""
        views = self._client.list_builds(status=status or "", before=before or "", limit=limit)
        return [view.build for view in views]

    def build_partitions(
        self, build_request_id: str, *, status: str | None = None, after: str = "", limit: int = 1000
    ) -> Sequence[BuildPartitionRecord]:
        """Returns the partitions of one build with their statuses in it, by ref."""
        return self._client.build_partitions(build_request_id, status=status or "", after=after, limit=limit)

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]:
        """Returns the job runs of one build, in the order in which they were first heard of."""
        return self._client.job_runs(build_request_id, status=status or "", after=after, limit=limit)

    def job_run(self, job_run_id: str) -> JobRunRecord | None:
        """Returns one job run."""
        try:
            return self._client.job_run(job_run_id)
        except JobRunNotFoundError:
            return None

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]:
        """Returns what is known of partitions, by ref."""
        records = (self._client.partition(ref).record for ref in refs)
        return {record.ref: record for record in records if record is not None}

    def produced_by(self, ref: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        """Returns the job runs that were to produce a partition, newest first."""
        return self._client.partition(ref).history[:limit]

    def partitions(
        self, *, prefix: str = "", contains: str = "", status: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[PartitionRecord]:
        """Returns partition records by ref."""
        return self._client.partitions(prefix=prefix, contains=contains, status=status or "", after=after, limit=limit)

    def partition_counts(self) -> Mapping[str, int]:
        """Returns how many partitions there are of each newest status."""
        return self._client.partition_counts()

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        """Returns events of one build, in order."""
        return self._client.events(build_request_id, after=after_sequence, limit=limit)
