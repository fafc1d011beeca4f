"""The Protocols of the operations that commands need, one for each purpose, and their union, `Backend`.

`local_backend.py` implements it on the state directory of this machine, `remote_backend.py` on a service. Commands know
neither. This module imports nothing at run time, since commands that only read must start fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from databuild.cli.backend.build_outcome import BuildOutcome
    from databuild.cli.backend.records import Records
    from databuild.cli.display.build_display import BuildDisplay
    from databuild.model.build_options import BuildOptions, PlanOptions
    from databuild.model.environment_views import EnvironmentView, PartitionComparison, Promotion, RemovedEnvironment
    from databuild.model.graph_view import GraphView
    from databuild.model.job_graph import Plan
    from databuild.model.pruning import Pruned, PruneOptions
    from databuild.model.records import BuildRecord, JobRunRecord
    from databuild.model.removal import Cleaning, CleanOptions, Deletion, Forgotten
    from databuild.model.reproduction import Reproduction
    from databuild.model.store_check import StoreCheck, StoreCheckOptions
    from databuild.model.trends import Trends
    from databuild.model.views import Adoption, DeclaredDependents, DownstreamPage, Taint, Verification
    from databuild.v1.events_pb2 import BuildEvent

TAIL_BYTES = 8192
"""The size of the end of a log that a summary shows, in bytes."""


class BuildOrder(NamedTuple):
    """The new build that `build` or `retry` requests, apart from its partitions.

    Attributes:
        build_request_id: The id of the new build; empty for a generated one.
        options: The options; without `jobs`, the backend chooses the number.
        plan: The plan to run exactly; None to make a new plan.
        downstream: True to build, instead of the partitions, what was made from them.
    """

    build_request_id: str
    options: BuildOptions
    plan: Plan | None = None
    downstream: bool = False


class CancelRequest(NamedTuple):
    """A recorded request to cancel a build."""

    build_request_id: str
    author: str


class EventLogQueries(Protocol):
    """Builds and their events. A BUILD text is an id, the unique beginning of one, or `latest`."""

    @property
    def records(self) -> Records:
        """The records and events of the event log."""
        ...

    def find_build(self, text: str = "latest") -> BuildRecord:
        """Returns the build that a BUILD text names.

        Raises:
            BuildNotFoundError: It names no build, or several.
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
        """Yields the events after a sequence number, and new ones as they are recorded. Ends with the build."""
        ...

    def reproduction(self, job_run_id: str) -> Reproduction:
        """Returns what is needed to run a job run again.

        Raises:
            JobRunNotFoundError: There is no such job run.
            BuildPrunedError: The events of its build were pruned.
            InvalidRequestError: It has never started.
        """
        ...

    def all_events(self, after: int, *, follow: bool) -> Iterator[tuple[int, BuildEvent]]:
        """Yields the events of all builds after a position in the log, each with its position.

        Args:
            after: The position; 0 for all events.
            follow: True to wait for new events, and never end.

        Raises:
            InvalidRequestError: The backend is a service, which has no request for this.
        """
        ...

    def sizes(self, *, count: bool) -> dict[str, int]:
        """Returns sizes in bytes; with `count`, also the numbers of builds and events, which reads the whole log."""
        ...


class JobLogs(Protocol):
    """The output of job runs."""

    def log_path(self, job_run: JobRunRecord, stream: str) -> str:
        """Returns the path of a log on the machine that has it."""
        ...

    def read_log(self, job_run: JobRunRecord, stream: str, offset: int) -> bytes:
        """Returns the content of a log after an offset in bytes."""
        ...

    def tail_of_log(self, job_run: JobRunRecord, stream: str) -> bytes:
        """Returns the last TAIL_BYTES of a log."""
        ...

    def logs_pruned_before(self) -> float:
        """Returns the time, since the epoch, before which builds ended whose logs were pruned for age; 0 for none."""
        ...


class GraphQueries(Protocol):
    """Plans, and questions about the graph and its partitions."""

    def plan(
        self,
        partitions: Sequence[str],
        options: PlanOptions | None = None,
        *,
        downstream: bool = False,
        verify: str = "none",
        digests: bool = False,
    ) -> Plan:
        """Makes a plan and prints its warnings.

        Args:
            partitions: Refs and ranges of refs; none for the default partitions of the graph.
            options: The options of the plan; None for the defaults.
            downstream: True to plan, instead of the partitions, what was made from them.
            verify: The data to look for in its store, one of `VERIFY_POLICIES`. Lost data is planned to be rebuilt.
            digests: False if nobody reads the configuration digests of tasks, which may be missing then.
        """
        ...

    def downstream(self, partitions: Sequence[str], *, transitive: bool, limit: int) -> DownstreamPage:
        """Returns the first partitions whose current data was made from given ones, as recorded.

        Args:
            partitions: Refs and ranges of refs. No job needs to produce them.
            transitive: True for any number of steps, with each partition once; False for one step, with a partition
                once for each given partition that it was made from.
            limit: The maximum number of partitions.
        """
        ...

    def declared_downstream(self, partitions: Sequence[str], *, transitive: bool, limit: int) -> DeclaredDependents:
        """Returns the outputs of declared jobs that would be made from given partitions, whether they exist or not.

        Args:
            partitions: Refs and ranges of refs. No job needs to produce them.
            transitive: True for any number of steps; False for one.
            limit: The maximum number of results.
        """
        ...

    def trends(self, ref: str) -> Trends:
        """Returns the numbers and the schema of a partition, compared with those of earlier ones."""
        ...

    def plan_without_records(self, partitions: Sequence[str]) -> Plan:
        """Makes the plan of a build that finds no partition available, and prints its warnings.

        Args:
            partitions: Refs and ranges of refs; none for the default partitions of the graph.
        """
        ...

    def graph(self) -> GraphView:
        """Returns the graph by job, without counts of partitions."""
        ...

    def earlier_runs(self, job_labels: Sequence[str]) -> Iterator[tuple[str, Sequence[JobRunRecord]]]:
        """Yields the newest job runs of each job. Another thread may call it, and iterate over it."""
        ...

    def print_hint(self) -> None:
        """Prints other state directories with partitions of this graph, if its own one is new."""
        ...


class Operations(Protocol):
    """Requests that change something, and the verification of the event log."""

    def build(self, partitions: Sequence[str], order: BuildOrder, display: BuildDisplay) -> BuildOutcome:
        """Runs a build to its end. Without partitions, it builds the default partitions of the graph."""
        ...

    def retry(self, build: str, order: BuildOrder, display: BuildDisplay, *, failed_jobs_only: bool) -> BuildOutcome:
        """Runs a new build of the requested partitions of another one to its end."""
        ...

    def cancel(self, build: str) -> CancelRequest:
        """Requests that a build be cancelled."""
        ...

    def taint(self, partitions: Sequence[str], *, tainted: bool, reason: str, downstream: bool) -> Taint:
        """Taints partitions, or removes their taint; with `downstream`, also of what was made from them."""
        ...

    def adopt(self, partitions: Sequence[str], *, author: str, reason: str, force: bool) -> Adoption:
        """Makes partitions available whose data was not built here: all of them, or none.

        Args:
            partitions: Refs and ranges of refs.
            author: The author to record; empty for the user.
            reason: The origin of the data.
            force: True to also adopt partitions that are available or claimed by a build.
        """
        ...

    def verify_stores(
        self, partitions: Sequence[str], options: StoreCheckOptions, *, author: str, after: str
    ) -> Iterator[StoreCheck]:
        """Looks for the data of partitions in its stores. Yields the result of each part when it is recorded.

        Args:
            partitions: Refs, ranges of refs and partition patterns; none for all partitions.
            options: The options.
            author: The author to record; empty for the user.
            after: The ref after which to begin.
        """
        ...

    def forget(self, partitions: Sequence[str], *, author: str, reason: str) -> Forgotten:
        """Makes the event log forget the data of partitions.

        Args:
            partitions: Refs, ranges of refs and partition patterns.
            author: The author to record; empty for the user.
            reason: The reason.
        """
        ...

    def delete(
        self, partitions: Sequence[str], *, author: str, reason: str, force: bool, dry_run: bool
    ) -> Iterator[Deletion]:
        """Deletes the data of partitions. Yields the result of each part when it is done.

        Args:
            partitions: Refs, ranges of refs and partition patterns.
            author: The author to record; empty for the user.
            reason: The reason.
            force: True to delete data of any version.
            dry_run: True to delete nothing.
        """
        ...

    def clean(self, options: CleanOptions, *, author: str) -> Cleaning:
        """Deletes data that is older than the retention of its job, and what job runs left behind."""
        ...

    def prune(self, options: PruneOptions, *, dry_run: bool) -> Pruned:
        """Prunes builds and job logs; with `dry_run`, changes nothing."""
        ...

    def verify(self, builds: Sequence[str]) -> Verification:
        """Checks the whole event log. With builds, it reports only their faults."""
        ...


class EnvironmentOperations(Protocol):
    """Operations on environments, from the base."""

    def environments(self) -> Sequence[EnvironmentView]:
        """Returns the environments, in order of their names."""
        ...

    def compare_environment(self, environment: str, partitions: Sequence[str]) -> Iterator[PartitionComparison]:
        """Yields a comparison with the base of each partition of which an environment has data of its own, by ref.

        Args:
            environment: The environment.
            partitions: Refs and ranges of refs; none for all.

        Raises:
            EnvironmentNotFoundError: There is no such environment.
        """
        ...

    def promote_environment(
        self, environment: str, partitions: Sequence[str], *, author: str, reason: str
    ) -> Promotion:
        """Makes partitions of an environment available in the base.

        Args:
            environment: The environment.
            partitions: Refs and ranges of refs, all of which are promoted or none; none for all that can be promoted.
            author: The author to record; empty for the user.
            reason: The reason to record.

        Raises:
            EnvironmentNotFoundError: There is no such environment.
            PromotionRefusedError: A partition that was named cannot be promoted, or the base has changed meanwhile.
        """
        ...

    def remove_environment(self, environment: str, *, delete_data: bool) -> RemovedEnvironment:
        """Removes an environment; with `delete_data`, also the files that were made in it and that nobody else uses.

        Raises:
            EnvironmentNotFoundError: There is no such environment.
            EnvironmentInUseError: Builds run there.
        """
        ...


class Backend(EventLogQueries, JobLogs, GraphQueries, Operations, EnvironmentOperations, Protocol):
    """The state directory of this machine, or a service."""
