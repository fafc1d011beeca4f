"""The operations that commands need, on the state directory of this machine or on a service.

`local_backend.py` and `remote_backend.py` implement them. Commands know neither. Imports next to nothing, since
commands that only read must start fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from databuild.cli.backend.build_end import BuildEnd
    from databuild.cli.backend.records import Records
    from databuild.cli.display.build_display import BuildDisplay
    from databuild.model.build_options import BuildOptions, PlanOptions
    from databuild.model.job_graph import Plan
    from databuild.model.pruning import Pruned, PruneOptions
    from databuild.model.records import BuildRecord, JobRunRecord
    from databuild.model.views import Verification
    from databuild.v1.events_pb2 import BuildEvent

TAIL_BYTES = 8192


class BuildOrder(NamedTuple):
    """The flags of `build` and `retry`.

    Attributes:
        build_request_id: The id of the new build; empty for a generated one.
        options: The options; without `jobs`, the backend chooses the number.
        plan: The plan to run exactly; None to plan anew.
    """

    build_request_id: str
    options: BuildOptions
    plan: Plan | None = None


class Cancellation(NamedTuple):
    """A recorded request to cancel a build."""

    build_request_id: str
    author: str


class Taint(NamedTuple):
    """Partitions that were tainted or untainted, and the recorded author."""

    partitions: Sequence[str]
    author: str


class Adoption(NamedTuple):
    """Partitions that were adopted.

    Attributes:
        partitions: The partitions, ranges expanded.
        version: Their version.
        operation_id: The operation that the adoption is recorded as.
        author: The recorded author.
    """

    partitions: Sequence[str]
    version: str
    operation_id: str
    author: str


class Backend(Protocol):
    """The state directory of this machine, or a service.

    A BUILD text is an id, the unique beginning of one, or `latest`. PARTITION texts are refs and ranges of refs.
    """

    @property
    def records(self) -> Records:
        """The records and events of the event log."""
        ...

    def find_build(self, text: str = "latest") -> BuildRecord:
        """Returns the build that a text names.

        Raises:
            BuildNotFoundError: It names none, or several.
        """
        ...

    def deaths(self, builds: Iterable[str]) -> Mapping[str, str]:
        """Returns the reason for each of these open builds whose orchestrator has died, by id."""
        ...

    def dead_build_message(self, build_request_id: str) -> str:
        """Returns a sentence if the orchestrator of a build has died and nothing will end the build; else ""."""
        ...

    def waits(self, build_request_id: str) -> Sequence[str]:
        """Returns a sentence for each resource that a build waits for."""
        ...

    def watch(self, build_request_id: str, after: int) -> Iterator[BuildEvent]:
        """Yields events after a sequence number, then new ones. Ends when no more can come."""
        ...

    def all_events(self, after: int, *, follow: bool) -> Iterator[tuple[int, BuildEvent]]:
        """Yields the events of all builds after a position in the log, each with its position.

        Args:
            after: The position; 0 for all events.
            follow: Whether to wait for new events, without end.

        Raises:
            InvalidRequestError: The event log is that of a service, which does not give it away.
        """
        ...

    def sizes(self, *, count: bool) -> dict[str, int]:
        """Returns sizes in bytes; with `count`, also the numbers of builds and events, which reads the whole log."""
        ...

    def log_path(self, job_run: JobRunRecord, stream: str) -> str:
        """Returns the path of a log on the machine of the backend."""
        ...

    def read_log(self, job_run: JobRunRecord, stream: str, offset: int) -> bytes:
        """Returns the content of a log after an offset in bytes."""
        ...

    def tail_of_log(self, job_run: JobRunRecord, stream: str) -> bytes:
        """Returns the last TAIL_BYTES of a log."""
        ...

    def logs_pruned_before(self) -> float:
        """Returns the time before which builds ended whose logs were pruned for their age; 0 for none."""
        ...

    def plan(self, partitions: Sequence[str], options: PlanOptions | None = None) -> Plan:
        """Makes a plan and prints its warnings.

        Args:
            partitions: Refs and ranges of refs; none for the default partitions of the graph.
            options: The options of the plan; None for the defaults.
        """
        ...

    def earlier_runs(self, job_labels: Sequence[str]) -> Iterator[tuple[str, Sequence[JobRunRecord]]]:
        """Yields the newest job runs of each job. It may be used from a thread of its own."""
        ...

    def print_hint(self) -> None:
        """Names other state directories that know partitions of this graph, if its own is new."""
        ...

    def build(self, partitions: Sequence[str], order: BuildOrder, display: BuildDisplay) -> BuildEnd:
        """Runs a build to its end; without partitions, of the default partitions of the graph."""
        ...

    def retry(self, build: str, order: BuildOrder, display: BuildDisplay, *, failed_jobs_only: bool) -> BuildEnd:
        """Runs a new build of the requested partitions of another one to its end."""
        ...

    def cancel(self, build: str) -> Cancellation:
        """Requests that a build be cancelled."""
        ...

    def taint(self, partitions: Sequence[str], *, tainted: bool, reason: str) -> Taint:
        """Taints partitions, or takes the taint away."""
        ...

    def adopt(self, partitions: Sequence[str], *, author: str, reason: str, force: bool) -> Adoption:
        """Makes partitions available that were not built here: all, or none.

        Args:
            partitions: Refs and ranges of refs.
            author: The author to record; empty for the user.
            reason: The origin of the data.
            force: Whether to adopt also partitions that are available, or claimed by a build.
        """
        ...

    def prune(self, options: PruneOptions, *, dry_run: bool) -> Pruned:
        """Prunes builds and job logs; with `dry_run`, changes nothing."""
        ...

    def verify(self, builds: Sequence[str]) -> Verification:
        """Checks the event log; with builds, reports only their faults."""
        ...
