"""The backend on the state directory of this machine.

`status`, `builds`, `partitions` and `logs` must start fast. So this module imports only what they need, and each other
operation imports its modules itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from databuild.errors import BuildNotFoundError, StorageError
from databuild.model.records import BuildRecord, JobRunRecord
from databuild.orchestration.logs.log_files import log_path, log_size, read_log

if TYPE_CHECKING:
    from databuild.cli.backend.backend import BuildOrder, CancelRequest
    from databuild.cli.backend.build_outcome import BuildOutcome
    from databuild.cli.backend.invocation import Invocation
    from databuild.cli.display.build_display import BuildDisplay
    from databuild.event_log.reads import Reader
    from databuild.model.build_options import PlanOptions
    from databuild.model.environment_views import EnvironmentView, PartitionComparison, Promotion, RemovedEnvironment
    from databuild.model.graph_view import GraphView
    from databuild.model.job_graph import Plan
    from databuild.model.pruning import Pruned, PruneOptions
    from databuild.model.removal import Cleaning, CleanOptions, Deletion, Forgotten
    from databuild.model.reproduction import Reproduction
    from databuild.model.store_check import StoreCheck, StoreCheckOptions
    from databuild.model.trends import Trends
    from databuild.model.views import Adoption, DeclaredDependents, DownstreamPage, Taint, Verification
    from databuild.orchestration.build.downstream_request import Requested
    from databuild.orchestration.logs.stored_logs import LogReader
    from databuild.storage.storages import Storages
    from databuild.v1.events_pb2 import BuildEvent

_POLL_SECONDS = 1.0
_TREND_POINTS = 60


class LocalBackend:
    """The event log and the job logs that the flags name.

    Args:
        call: The invocation, with paths, flags and the job catalog.
        reader: The reader of the event log; None to open it on first use.
    """

    def __init__(self, call: Invocation, reader: Reader | None = None) -> None:
        self._call = call
        self._reader = reader
        self._log_reader: LogReader | None = None

    @property
    def records(self) -> Reader:
        if self._reader is None:
            self._reader = self._call.open_reader()
        return self._reader

    def find_build(self, text: str = "latest") -> BuildRecord:
        from databuild.orchestration.coordination.build_ids import LATEST, find_build

        try:
            return find_build(self.records, text)
        except BuildNotFoundError:
            if text != LATEST:
                raise
        from databuild.event_log.open import described

        event_log = described(self._call.event_log_uri, self._call.environment)
        raise BuildNotFoundError(text, event_log=event_log).with_remedy("OTHER_EVENT_LOG")

    def deaths(self, builds: Iterable[str]) -> Mapping[str, str]:
        from databuild.orchestration.coordination.dead_builds import find_dead_builds

        dead = find_dead_builds(self.records)
        return {build: dead[build].fault for build in builds if build in dead}

    def dead_build_message(self, build_request_id: str) -> str:
        from databuild.orchestration.coordination.build_ids import dead_build_message

        return dead_build_message(self.records, build_request_id)

    def waits(self, build_request_id: str) -> Sequence[str]:
        from databuild.orchestration.jobs.waits import resource_waits

        return resource_waits(self.records, build_request_id)

    def watch(self, build_request_id: str, after: int) -> Iterator[BuildEvent]:
        from databuild.model.lifecycle import BUILD_ENDS
        from databuild.model.paging import read_rows

        died = False
        while True:
            events = read_rows(
                lambda last, limit: self.records.events(build_request_id, after_sequence=last, limit=limit),
                key=lambda event: event.sequence,
                start=after,
            )
            for event in events:
                yield event
                after = event.sequence
                if event.build_request.status in BUILD_ENDS:
                    return
            if died:
                return
            # Check for death before the last read: everything that a dead build has written is then in the log.
            died = bool(self.dead_build_message(build_request_id))
            if not died:
                self.records.wait(_POLL_SECONDS)

    def reproduction(self, job_run_id: str) -> Reproduction:
        from databuild.orchestration.reproduction.recorded_run import describe, read_run

        run = read_run(self.records, job_run_id)
        return describe(run, self.records, self._call.catalog().jobs.get(run.task.job_label))

    def all_events(self, after: int, *, follow: bool) -> Iterator[tuple[int, BuildEvent]]:
        from databuild.model.paging import read_rows

        while True:
            events = read_rows(
                lambda last, limit: list(self.records.all_events(after_position=last, limit=limit)),
                key=lambda event: event[0],
                start=after,
            )
            for position, event in events:
                yield position, event
                after = position
            if not follow:
                return
            self._call.out.flush()
            self.records.wait(_POLL_SECONDS)

    def sizes(self, *, count: bool) -> dict[str, int]:
        if not count:
            return {"event_log_bytes": self.records.size()}
        from databuild.orchestration.logs.log_folders import bytes_under

        sizes = self.records.sizes()
        return {
            "event_log_bytes": sizes.bytes,
            "builds": sizes.builds,
            "pruned_builds": sizes.pruned_builds,
            "events": sizes.events,
            "job_log_bytes": bytes_under(self._call.log_dir),
        }

    def log_path(self, job_run: JobRunRecord, stream: str) -> str:
        if job_run.log_store:
            return self._stored_logs.place(job_run, stream)
        return log_path(self._call.log_dir, job_run, stream, self._call.base_log_dir)

    def read_log(self, job_run: JobRunRecord, stream: str, offset: int) -> bytes:
        if job_run.log_store:
            return self._stored_logs.read(job_run, stream, offset)
        return read_log(self.log_path(job_run, stream), offset)

    def tail_of_log(self, job_run: JobRunRecord, stream: str) -> bytes:
        """Returns the last bytes; none if the log cannot be read, so that the rest of the summary is still printed."""
        from databuild.cli.backend.backend import TAIL_BYTES

        try:
            if job_run.log_store:
                size = self._stored_logs.size(job_run, stream)
                return self._stored_logs.read(job_run, stream, max(size - TAIL_BYTES, 0))
            path = self.log_path(job_run, stream)
            return read_log(path, max(log_size(path) - TAIL_BYTES, 0))
        except (OSError, StorageError):
            return b""

    @property
    def _stored_logs(self) -> LogReader:
        if self._log_reader is None:
            from databuild.cli.backend.log_stores import storages
            from databuild.orchestration.logs.stored_logs import LogReader

            self._log_reader = LogReader(
                self._call.log_dir, storages(self._call), base_log_directory=self._call.base_log_dir
            )
        return self._log_reader

    def logs_pruned_before(self) -> float:
        from databuild.orchestration.logs.log_folders import logs_pruned_before

        return logs_pruned_before(self._call.log_dir)

    def plan(
        self,
        partitions: Sequence[str],
        options: PlanOptions | None = None,
        *,
        downstream: bool = False,
        verify: str = "none",
        digests: bool = False,
    ) -> Plan:
        from databuild.cli.backend.local_plan import RecordsWithoutDeadBuilds, plan_for

        requested = self._requested(partitions, downstream=downstream)
        self._call.err.warn(*requested.warnings)
        plan = plan_for(
            self._call,
            requested.refs,
            reader=RecordsWithoutDeadBuilds(self.records),
            past=self.records,
            options=options,
            verify=verify,
            digests=digests,
        )
        return plan._replace(warnings=(*requested.warnings, *plan.warnings))

    def downstream(self, partitions: Sequence[str], *, transitive: bool, limit: int) -> DownstreamPage:
        from databuild.event_log.downstream import downstream

        refs = self._call.catalog().expand(partitions, produced=False)
        return downstream(self.records, refs, transitive=transitive, limit=limit)

    def declared_downstream(self, partitions: Sequence[str], *, transitive: bool, limit: int) -> DeclaredDependents:
        from databuild.graph.dependents import Dependents

        refs = self._call.catalog().expand(partitions, produced=False)
        return Dependents(self._call.catalog()).of(refs, transitive=transitive, limit=limit)

    def trends(self, ref: str) -> Trends:
        from databuild.orchestration.comparisons.trends import partition_trends

        return partition_trends(self.records, self._call.catalog(), ref, _TREND_POINTS)

    def plan_without_records(self, partitions: Sequence[str]) -> Plan:
        from databuild.cli.backend.local_plan import plan_for
        from databuild.cli.backend.requested_partitions import requested_partitions
        from databuild.graph.record_cache import NoRecords

        return plan_for(self._call, requested_partitions(self._call, partitions), reader=NoRecords())

    def graph(self) -> GraphView:
        from databuild.graph.job_edges import graph_view

        return graph_view(self._call.catalog())

    def earlier_runs(self, job_labels: Sequence[str]) -> Iterator[tuple[str, Sequence[JobRunRecord]]]:
        from contextlib import closing

        from databuild.cli.display.task_states import RUNS_PER_JOB

        # A reader belongs to one thread, and another thread calls this.
        if self._call.event_log_uri == "memory:":
            return
        with closing(self._call.open_reader()) as reader:
            for label in job_labels:
                yield label, reader.runs_of_job(label, limit=RUNS_PER_JOB)

    def print_hint(self) -> None:
        from databuild.cli.backend.state_directories import print_hint

        print_hint(self._call)

    def build(self, partitions: Sequence[str], order: BuildOrder, display: BuildDisplay) -> BuildOutcome:
        from databuild.cli.backend import local_build
        from databuild.orchestration.build.downstream_request import Requested
        from databuild.orchestration.build.settings import BuildRequest

        plan = order.plan
        options = local_build.completed_options(self._call, order.options)
        build_request_id = self._chosen_id(order)
        requested = Requested(plan.requested) if plan else self._requested(partitions, downstream=order.downstream)
        request = BuildRequest(
            build_request_id=build_request_id,
            requested=requested.refs,
            options=options.with_planning(plan.options) if plan else options,
            plan=plan,
            downstream_of=requested.downstream_of,
            warnings=requested.warnings,
            traceparent=self._call.traceparent,
        )
        if self._reader is not None:
            # A log that did not exist when it was opened reads as empty, also after the build has written it.
            self._reader.close()
            self._reader = None
        return local_build.run(self._call, request, display)

    def retry(self, build: str, order: BuildOrder, display: BuildDisplay, *, failed_jobs_only: bool) -> BuildOutcome:
        from databuild.cli.backend import local_build
        from databuild.orchestration.build.retry import check_may_be_retried, partitions_to_retry
        from databuild.orchestration.build.settings import BuildRequest

        old = self.find_build(build)
        check_may_be_retried(self.records, old)
        requested = partitions_to_retry(self.records, old.build_request_id, failed_jobs_only=failed_jobs_only)
        request = BuildRequest(
            build_request_id=self._chosen_id(order),
            requested=requested,
            options=local_build.completed_options(self._call, order.options),
            retry_of=old.build_request_id,
            traceparent=self._call.traceparent,
        )
        return local_build.run(self._call, request, display)

    def cancel(self, build: str) -> CancelRequest:
        from databuild.cli.backend.backend import CancelRequest
        from databuild.orchestration.maintenance.operations import cancel_request
        from databuild.user import user_name

        author = user_name(self._call.environ)
        event = cancel_request(self.records, self.find_build(build), author)
        self._append([event])
        return CancelRequest(event.cancel_request.target_build_request_id, author)

    def taint(self, partitions: Sequence[str], *, tainted: bool, reason: str, downstream: bool) -> Taint:
        from databuild.cli.backend.requested_partitions import expand
        from databuild.model.views import Taint
        from databuild.orchestration.build.downstream_request import partitions_to_taint
        from databuild.orchestration.maintenance.operations import taint
        from databuild.user import user_name

        refs: Sequence[str] = expand(self._call, partitions, produced=not downstream)
        if downstream:
            refs = partitions_to_taint(self.records, refs)
        author = user_name(self._call.environ)
        self._append(taint(self.records, refs, tainted=tainted, author=author, reason=reason))
        return Taint(tuple(refs), author)

    def adopt(self, partitions: Sequence[str], *, author: str, reason: str, force: bool) -> Adoption:
        from databuild.cli.backend.local_adoption import adopt_here
        from databuild.cli.backend.requested_partitions import expand
        from databuild.model.views import Adoption
        from databuild.user import user_name

        author = author or user_name(self._call.environ)
        refs = expand(self._call, partitions)
        event = adopt_here(self._call, refs, author=author, reason=reason, force=force)
        return Adoption(tuple(refs), event.event_id, author, event.build_request_id)

    def verify_stores(
        self, partitions: Sequence[str], options: StoreCheckOptions, *, author: str, after: str
    ) -> Iterator[StoreCheck]:
        from databuild.cli.backend.job_checks import jobs_of
        from databuild.cli.backend.log_stores import storages
        from databuild.cli.backend.requested_partitions import expand
        from databuild.orchestration.stores.selection import Selection
        from databuild.orchestration.stores.verification import verify_part
        from databuild.user import user_name

        author = author or user_name(self._call.environ)
        selection = Selection(partitions, lambda texts: expand(self._call, texts, produced=False))
        opened: list[Storages] = []

        def stores() -> Storages:
            if not opened:
                opened.append(storages(self._call))
            return opened[0]

        while True:
            part = verify_part(
                self.records,
                selection,
                options,
                after=after,
                author=author,
                clock=self._call.clock,
                storages=stores,
                jobs=jobs_of(self._call),
            )
            if part.events:
                self._append(part.events)
            yield part.check
            after = part.check.next_after
            if not after:
                return

    def environments(self) -> Sequence[EnvironmentView]:
        from databuild.cli.backend.local_environments import list_environments

        return list_environments(self._call)

    def compare_environment(self, environment: str, partitions: Sequence[str]) -> Iterator[PartitionComparison]:
        from databuild.cli.backend.local_environments import compare_environment

        return compare_environment(self._call, environment, partitions)

    def promote_environment(
        self, environment: str, partitions: Sequence[str], *, author: str, reason: str
    ) -> Promotion:
        from databuild.cli.backend.local_environments import promote_environment

        return promote_environment(self._call, environment, partitions, author=author, reason=reason)

    def remove_environment(self, environment: str, *, delete_data: bool) -> RemovedEnvironment:
        from databuild.cli.backend.local_environments import remove_environment

        return remove_environment(self._call, environment, delete_data=delete_data)

    def forget(self, partitions: Sequence[str], *, author: str, reason: str) -> Forgotten:
        from databuild.cli.backend import local_removals

        return local_removals.forget(self._call, partitions, author=author, reason=reason)

    def delete(
        self, partitions: Sequence[str], *, author: str, reason: str, force: bool, dry_run: bool
    ) -> Iterator[Deletion]:
        from databuild.cli.backend import local_removals

        return local_removals.delete(self._call, partitions, author=author, reason=reason, force=force, dry_run=dry_run)

    def clean(self, options: CleanOptions, *, author: str) -> Cleaning:
        from databuild.cli.backend import local_removals

        return local_removals.clean(self._call, options, author=author)

    def prune(self, options: PruneOptions, *, dry_run: bool) -> Pruned:
        from databuild.cli.backend.log_stores import chosen_log_store, storages
        from databuild.event_log.open import open_pruner
        from databuild.model.pruning import Pruned
        from databuild.orchestration.logs.log_folders import log_folders
        from databuild.orchestration.maintenance.pruning import prunable, prune

        now = self._call.clock()
        places = log_folders(self._call.log_dir, storages(self._call), chosen_log_store(self._call))
        if dry_run:
            return prunable(self.records, places, options, now)
        total = Pruned()
        reader = self.records
        if not reader.builds(limit=1):
            return total  # opening a pruner would create a log
        pruner = open_pruner(self._call.event_log_uri, self._call.environment)
        try:
            for part in prune(reader, pruner, places, options, now):
                total = total.plus(part)
        finally:
            pruner.close()
        return total

    def verify(self, builds: Sequence[str]) -> Verification:
        from databuild.event_log.verify import verify

        return verify(self.records, [self.find_build(text).build_request_id for text in builds])

    def _chosen_id(self, order: BuildOrder) -> str:
        from databuild.cli.backend.build_session import chosen_id

        def status_of(build: str) -> str | None:
            if self._call.event_log_uri == "memory:":  # always empty at the start
                return None
            record = self.records.build(build)
            return record.status if record else None

        return chosen_id(order.build_request_id, status_of)

    def _requested(self, partitions: Sequence[str], *, downstream: bool) -> Requested:
        from databuild.cli.backend.requested_partitions import expand, requested_partitions
        from databuild.orchestration.build.downstream_request import Requested, partitions_to_build

        if not downstream:
            return Requested(tuple(requested_partitions(self._call, partitions)))
        given = expand(self._call, partitions, produced=False)
        return partitions_to_build(self.records, self._call.catalog(), given)

    def _append(self, operations: Sequence[BuildEvent]) -> None:
        """Appends operations, and returns when they are durable."""
        import asyncio

        async def append() -> None:
            event_log = self._call.open_event_log()
            try:
                for event in operations:
                    await event_log.append([event])
            finally:
                await event_log.close()

        asyncio.run(append())
