"""The backend on a service.

This module and `remote_build.py` are the only ones of the command line that import the client. They are imported only
if a service is named, so that other commands do not pay for gRPC.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from databuild.cli.backend.backend import TAIL_BYTES, BuildOrder, CancelRequest
from databuild.cli.backend.requested_partitions import suggest_command
from databuild.cli.display.task_states import RUNS_PER_JOB
from databuild.client import AsyncDatabuildClient, DatabuildClient, Tls
from databuild.errors import BuildNotFoundError, EnvironmentNotFoundError, InvalidRequestError, JobRunNotFoundError
from databuild.model.build_options import PlanOptions
from databuild.model.environment_views import EnvironmentView, PartitionComparison, Promotion, RemovedEnvironment
from databuild.model.graph_view import GraphView
from databuild.model.job_graph import Plan
from databuild.model.pruning import Pruned, PruneOptions
from databuild.model.records import BuildPartitionRecord, BuildRecord, JobRunRecord, PartitionRecord
from databuild.model.removal import Cleaning, CleanOptions, Deletion, Forgotten
from databuild.model.reproduction import Reproduction
from databuild.model.store_check import StoreCheck, StoreCheckOptions
from databuild.model.trends import Trends
from databuild.model.views import Adoption, BuildView, DeclaredDependents, DownstreamPage, Taint, Verification
from databuild.user import user_name
from databuild.v1.events_pb2 import BuildEvent

if TYPE_CHECKING:
    from databuild.cli.backend.build_outcome import BuildOutcome
    from databuild.cli.backend.invocation import Invocation
    from databuild.cli.backend.remote_build import Submit
    from databuild.cli.display.build_display import BuildDisplay


class RemoteBackend:
    """The service that `--server` or the environment names."""

    def __init__(self, call: Invocation) -> None:
        self._call = call
        self._client = DatabuildClient(call.server, **_client_settings(call))
        self._records = RemoteRecords(self._client)
        # Job run ids and streams of the logs that are complete.
        self._ended: set[tuple[str, str]] = set()

    @property
    def records(self) -> RemoteRecords:
        return self._records

    def find_build(self, text: str = "latest") -> BuildRecord:
        return self._client.get(text).build

    def deaths(self, builds: Iterable[str]) -> Mapping[str, str]:
        faults: dict[str, str] = {}
        for build in dict.fromkeys(builds):
            # Operations such as a verification, which have ids of the same form, are no builds.
            with contextlib.suppress(BuildNotFoundError):
                faults[build] = self._client.get(build).dead_reason
        return {build: fault for build, fault in faults.items() if fault}

    def dead_build_message(self, build_request_id: str) -> str:  # noqa: ARG002
        return ""  # a service ends dead builds by itself

    def waits(self, build_request_id: str) -> Sequence[str]:
        return list(self._client.get(build_request_id).waiting_for)

    def watch(self, build_request_id: str, after: int) -> Iterator[BuildEvent]:
        return self._client.watch(build_request_id, after=after)

    def reproduction(self, job_run_id: str) -> Reproduction:
        return self._client.reproduction(job_run_id)

    def all_events(self, after: int, *, follow: bool) -> Iterator[tuple[int, BuildEvent]]:  # noqa: ARG002
        message = "events --all needs the event log itself, which a service does not offer; run it beside the event log"
        raise InvalidRequestError(message)

    def sizes(self, *, count: bool) -> dict[str, int]:
        room = self._client.storage(count=count)
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
        return self._client.read_log(job_run.job_run_id, stream=stream, limit=1).path

    def read_log(self, job_run: JobRunRecord, stream: str, offset: int) -> bytes:
        """Returns the content after an offset. It does not request a log again that has ended."""
        data = b""
        while (job_run.job_run_id, stream) not in self._ended:
            piece = self._client.read_log(job_run.job_run_id, stream=stream, offset=offset)
            data += piece.data
            offset = piece.next_offset
            if piece.ended:
                self._ended.add((job_run.job_run_id, stream))
            elif not piece.data:
                break
        return data

    def tail_of_log(self, job_run: JobRunRecord, stream: str) -> bytes:
        # The smallest read that returns the size.
        size = self._client.read_log(job_run.job_run_id, stream=stream, limit=1).total_bytes
        offset = max(size - TAIL_BYTES, 0)
        return self._client.read_log(job_run.job_run_id, stream=stream, offset=offset).data

    def logs_pruned_before(self) -> float:
        return self._client.storage().logs_pruned_before

    def plan(
        self,
        partitions: Sequence[str],
        options: PlanOptions | None = None,
        *,
        downstream: bool = False,
        verify: str = "none",
        digests: bool = False,  # noqa: ARG002 - the answer of a service has them
    ) -> Plan:
        with suggest_command():
            options = options or PlanOptions()
            plan = self._client.plan(partitions, downstream=downstream, verify=verify, **options._asdict())
        self._call.err.warn(*plan.warnings)
        return plan

    def downstream(self, partitions: Sequence[str], *, transitive: bool, limit: int) -> DownstreamPage:
        return self._client.downstream(partitions, transitive=transitive, limit=limit)

    def declared_downstream(self, partitions: Sequence[str], *, transitive: bool, limit: int) -> DeclaredDependents:
        return self._client.declared_downstream(partitions, transitive=transitive, limit=limit)

    def trends(self, ref: str) -> Trends:
        return self._client.trends(ref=ref)

    def plan_without_records(self, partitions: Sequence[str]) -> Plan:
        with suggest_command():
            plan = self._client.plan(partitions, records=False)
        self._call.err.warn(*plan.warnings)
        return plan

    def graph(self) -> GraphView:
        return self._client.graph()

    def earlier_runs(self, job_labels: Sequence[str]) -> Iterator[tuple[str, Sequence[JobRunRecord]]]:
        # A client of its own, since another thread uses and closes it.
        with DatabuildClient(self._call.server, **_client_settings(self._call)) as client:
            for label in job_labels:
                yield label, client.runs_of_job(label, limit=RUNS_PER_JOB)

    def print_hint(self) -> None:
        """Prints nothing: the state directory belongs to the service."""

    def build(self, partitions: Sequence[str], order: BuildOrder, display: BuildDisplay) -> BuildOutcome:
        build_request_id = self._chosen_id(order)

        async def submit(client: AsyncDatabuildClient) -> BuildView:
            with suggest_command():
                return await client.submit(
                    () if order.plan else partitions,
                    build_request_id=build_request_id,
                    plan=order.plan,
                    downstream=order.downstream,
                    **order.options._asdict(),
                )

        return self._run(build_request_id, submit, display)

    def retry(self, build: str, order: BuildOrder, display: BuildDisplay, *, failed_jobs_only: bool) -> BuildOutcome:
        build_request_id = self._chosen_id(order)

        async def submit(client: AsyncDatabuildClient) -> BuildView:
            return await client.retry(
                build,
                build_request_id=build_request_id,
                failed_jobs_only=failed_jobs_only,
                **order.options._asdict(),
            )

        return self._run(build_request_id, submit, display)

    def cancel(self, build: str) -> CancelRequest:
        cancelled = self._client.cancel(build).build
        return CancelRequest(cancelled.build_request_id, cancelled.cancel_requested_by)

    def taint(self, partitions: Sequence[str], *, tainted: bool, reason: str, downstream: bool) -> Taint:
        with suggest_command():
            return self._client.taint(partitions, reason=reason, untaint=not tainted, downstream=downstream)

    def adopt(self, partitions: Sequence[str], *, author: str, reason: str, force: bool) -> Adoption:
        with suggest_command():
            return self._client.adopt(partitions, reason=reason, force=force, author=author)

    def verify_stores(
        self, partitions: Sequence[str], options: StoreCheckOptions, *, author: str, after: str
    ) -> Iterator[StoreCheck]:
        while True:
            with suggest_command():
                part = self._client.verify_part(partitions, options, author=author, after=after)
            yield part
            after = part.next_after
            if not after:
                return

    def environments(self) -> Sequence[EnvironmentView]:
        return self._client.environments()

    def compare_environment(self, environment: str, partitions: Sequence[str]) -> Iterator[PartitionComparison]:
        return self._client.compare_environment(environment, partitions)

    def promote_environment(
        self, environment: str, partitions: Sequence[str], *, author: str, reason: str
    ) -> Promotion:
        return self._client.promote_environment(environment, partitions, reason=reason, author=author)

    def remove_environment(self, environment: str, *, delete_data: bool) -> RemovedEnvironment:
        return self._client.remove_environment(environment, delete_data=delete_data)

    def forget(self, partitions: Sequence[str], *, author: str, reason: str) -> Forgotten:
        with suggest_command():
            return self._client.forget(partitions, author=author, reason=reason)

    def delete(
        self, partitions: Sequence[str], *, author: str, reason: str, force: bool, dry_run: bool
    ) -> Iterator[Deletion]:
        after, more = "", True
        while more:
            with suggest_command():
                part = self._client.delete_part(
                    partitions, author=author, reason=reason, force=force, dry_run=dry_run, after=after
                )
            yield part
            after = part.next_after
            more = bool(after)

    def clean(self, options: CleanOptions, *, author: str) -> Cleaning:
        return self._client.clean(**options._asdict(), author=author)

    def prune(self, options: PruneOptions, *, dry_run: bool) -> Pruned:
        return self._client.prune(**options._asdict(), dry_run=dry_run)

    def verify(self, builds: Sequence[str]) -> Verification:
        return self._client.verify(builds)

    def _chosen_id(self, order: BuildOrder) -> str:
        from databuild.cli.backend.build_session import chosen_id

        def status_of(build: str) -> str | None:
            record = self._records.build(build)
            return record.status if record else None

        return chosen_id(order.build_request_id, status_of)

    def _run(self, build_request_id: str, submit: Submit, display: BuildDisplay) -> BuildOutcome:
        from databuild.cli.backend import remote_build

        client = AsyncDatabuildClient(self._call.server, **_client_settings(self._call))
        return remote_build.run(
            client, submit, build_request_id, display=display, records=self._records, err=self._call.err
        )


def _client_settings(call: Invocation) -> dict[str, Any]:
    files = {name: call.flags.get(name) for name in ("tls_ca", "tls_cert", "tls_key")}
    paths = {name: call.path(text) if text else "" for name, text in files.items()}
    tls = Tls(authority=paths["tls_ca"], certificate=paths["tls_cert"], key=paths["tls_key"])
    return {
        "author": user_name(call.environ),
        "graph": call.graph_label,
        "environment": call.environment,
        "tls": tls,
        "traceparent": call.traceparent,
    }


class RemoteRecords:
    """The records and events of a service."""

    def __init__(self, client: DatabuildClient) -> None:
        self._client = client

    def build(self, build_request_id: str) -> BuildRecord | None:
        try:
            build = self._client.get(build_request_id).build
        except (BuildNotFoundError, EnvironmentNotFoundError):
            return None
        # The service also accepts the beginning of an id.
        return build if build.build_request_id == build_request_id else None

    def builds(self, *, status: str | None = None, before: str | None = None, limit: int = 20) -> Sequence[BuildRecord]:
        views = self._client.list_builds(status=status or "", before=before or "", limit=limit)
        return [view.build for view in views]

    def build_partitions(
        self, build_request_id: str, *, status: str | None = None, after: str = "", limit: int = 1000
    ) -> Sequence[BuildPartitionRecord]:
        return self._client.build_partitions(build_request_id, status=status or "", after=after, limit=limit)

    def job_runs(
        self, build_request_id: str, *, status: str | None = None, after: int = 0, limit: int = 1000
    ) -> Sequence[JobRunRecord]:
        return self._client.job_runs(build_request_id, status=status or "", after=after, limit=limit)

    def job_run(self, job_run_id: str) -> JobRunRecord | None:
        try:
            return self._client.job_run(job_run_id)
        except JobRunNotFoundError:
            return None

    def partition_records(self, refs: Collection[str]) -> Mapping[str, PartitionRecord]:
        records = (self._client.partition(ref).record for ref in refs)
        return {record.ref: record for record in records if record is not None}

    def produced_by(self, ref: str, *, limit: int = 20) -> Sequence[JobRunRecord]:
        return self._client.partition(ref).history[:limit]

    def partitions(
        self, *, prefix: str = "", contains: str = "", status: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[PartitionRecord]:
        return self._client.partitions(prefix=prefix, contains=contains, status=status or "", after=after, limit=limit)

    def partition_counts(self) -> Mapping[str, int]:
        return self._client.partition_counts()

    def events(self, build_request_id: str, *, after_sequence: int = 0, limit: int = 1000) -> Sequence[BuildEvent]:
        return self._client.events(build_request_id, after=after_sequence, limit=limit)
