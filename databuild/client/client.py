"""The blocking client, for scripts, notebooks and the command line."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from databuild.client.calls import Calls
from databuild.client.connection import DEFAULT_RETRY_TIMEOUT, connect
from databuild.client.endpoint import Tls
from databuild.client.remote_build import RemoteBuild
from databuild.client.sync_bridge import iterate_sync, run_sync
from databuild.client.transport import BlockingTransport
from databuild.model.build_options import DEFAULT_VERIFY, BuildKeywords, PlanKeywords
from databuild.model.build_request_id import new_build_request_id
from databuild.model.environment_views import EnvironmentView, PartitionComparison, Promotion, RemovedEnvironment
from databuild.model.graph_view import GraphView
from databuild.model.job_graph import Plan
from databuild.model.pruning import Pruned
from databuild.model.records import BuildPartitionRecord, JobRunRecord, PartitionRecord
from databuild.model.removal import Cleaning, Deletion, Forgotten
from databuild.model.reproduction import Reproduction
from databuild.model.results import BuildResult
from databuild.model.store_check import REPORT, StoreCheck, StoreCheckOptions
from databuild.model.trends import Trends
from databuild.model.views import (
    Adoption,
    BuildView,
    DeclaredDependents,
    DownstreamPage,
    Explanation,
    LogChunk,
    PartitionView,
    StorageUsage,
    Taint,
    Verification,
)
from databuild.v1 import events_pb2 as ev


class DatabuildClient:
    """Builds on a service. It may be used from any thread, also from one that runs an event loop.

    Every method raises the errors of the service, and ServiceUnreachableError if it cannot be reached. A `build` is the
    id of a build, the unique beginning of an id, or `latest`. Each method calls the coroutine of the same name in
    `Calls` or `Reads`, which documents the arguments.

    Args:
        endpoint: `HOST:PORT` of the gRPC port, or `grpcs://HOST:PORT` for TLS. It connects at the first request.
        token: The token to send; None for that of the environment variable `DATABUILD_TOKEN`.
        author: The author to record, if the service has no tokens; None for the user of this process.
        graph: The label of the graph that the service must have; empty for any.
        environment: The environment that all requests are about; empty for the base.
        tls: The files of TLS; None for the public roots.
        retry_timeout: The time for which requests are repeated after the service has become unreachable, in seconds.
        traceparent: The trace context (W3C Trace Context) that builds continue; None for that of the environment
            variable `TRACEPARENT`.

    Raises:
        InvalidRequestError: The endpoint is not an address of a service, a file cannot be read, or the name of the
            environment is invalid.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        token: str | None = None,
        author: str | None = None,
        graph: str = "",
        environment: str = "",
        tls: Tls | None = None,
        retry_timeout: float = DEFAULT_RETRY_TIMEOUT,
        traceparent: str | None = None,
    ) -> None:
        self._calls = Calls(
            connect(
                endpoint,
                BlockingTransport,
                token=token,
                author=author,
                graph=graph,
                environment=environment,
                tls=tls,
                retry_timeout=retry_timeout,
                traceparent=traceparent,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def create_orchestrator(
        self,
        partitions: Sequence[str] = (),
        *,
        build_request_id: str = "",
        plan: Plan | None = None,
        downstream: bool = False,
        **options: Unpack[BuildKeywords],
    ) -> RemoteBuild[BuildView]:
        """Returns a build that has an id, and is not submitted yet. The arguments are those of `submit`."""
        return RemoteBuild(
            build_request_id or new_build_request_id(),
            partitions,
            lambda build: run_sync(self._calls.start(build)),
            plan=plan,
            downstream=downstream,
            **options,
        )

    def execute_build(
        self, build: RemoteBuild[Any], *, check: bool = False, on_event: Callable[[ev.BuildEvent], None] | None = None
    ) -> BuildResult:
        """Submits a build, unless it was submitted before, and waits for its result. A notebook shows its progress."""
        return run_sync(self._calls.execute_build(build, check=check, on_event=on_event))

    def submit(
        self,
        partitions: Sequence[str] = (),
        *,
        build_request_id: str = "",
        plan: Plan | None = None,
        downstream: bool = False,
        **options: Unpack[BuildKeywords],
    ) -> BuildView:
        """Submits a build, and returns its state once the service has recorded it."""
        return run_sync(
            self._calls.submit(
                partitions, build_request_id=build_request_id, plan=plan, downstream=downstream, **options
            )
        )

    def get(self, build: str = "latest") -> BuildView:
        """Returns the state of a build."""
        return run_sync(self._calls.get(build))

    def list_builds(self, *, status: str = "", before: str = "", limit: int = 20) -> list[BuildView]:
        """Returns builds, newest first."""
        return run_sync(self._calls.list_builds(status=status, before=before, limit=limit))

    def watch(self, build: str = "latest", *, after: int = 0) -> Generator[ev.BuildEvent]:
        """Yields the events of a build, and new ones as they are recorded, until the build ends."""
        return iterate_sync(self._calls.watch(build, after=after))

    def wait(self, build: str = "latest", *, check: bool = False) -> BuildResult:
        """Waits for the end of a build, and returns its result."""
        return run_sync(self._calls.wait(build, check=check))

    def cancel(self, build: str = "latest", *, author: str = "") -> BuildView:
        """Requests that a build stop, and returns its state. It does not wait for the end, which `wait` does."""
        return run_sync(self._calls.cancel(build, author=author))

    def retry(
        self,
        build: str = "latest",
        *,
        build_request_id: str = "",
        failed_jobs_only: bool = False,
        **options: Unpack[BuildKeywords],
    ) -> BuildView:
        """Submits a new build of the partitions of another one. Partitions that it finished are not built again."""
        return run_sync(
            self._calls.retry(
                build,
                build_request_id=build_request_id,
                failed_jobs_only=failed_jobs_only,
                **options,
            )
        )

    def graph(self, *, records: bool = False) -> GraphView:
        """Returns the graph by job."""
        return run_sync(self._calls.graph(records=records))

    def plan(
        self,
        partitions: Sequence[str] = (),
        *,
        records: bool = True,
        downstream: bool = False,
        verify: str = DEFAULT_VERIFY,
        **options: Unpack[PlanKeywords],
    ) -> Plan:
        """Makes the plan of a build, and starts nothing."""
        return run_sync(self._calls.plan(partitions, records=records, downstream=downstream, verify=verify, **options))

    def events(self, build: str = "latest", *, after: int = 0, limit: int = 1000) -> list[ev.BuildEvent]:
        """Returns events of a build, in order."""
        return run_sync(self._calls.events(build, after=after, limit=limit))

    def job_runs(
        self, build: str = "latest", *, status: str = "", after: int = 0, limit: int = 1000
    ) -> list[JobRunRecord]:
        """Returns the job runs of a build in the order of their numbers, which is that of their first events."""
        return run_sync(self._calls.job_runs(build, status=status, after=after, limit=limit))

    def job_run(self, job_run_id: str) -> JobRunRecord:
        """Returns the record of a job run."""
        return run_sync(self._calls.job_run(job_run_id))

    def reproduction(self, job_run_id: str) -> Reproduction:
        """Returns what is needed to run a job run again, and whether its inputs are still the ones that it read."""
        return run_sync(self._calls.reproduction(job_run_id))

    def runs_of_job(self, job_label: str, *, limit: int = 20) -> list[JobRunRecord]:
        """Returns the job runs of a job that have started, newest first, of all builds."""
        return run_sync(self._calls.runs_of_job(job_label, limit=limit))

    def build_partitions(
        self, build: str = "latest", *, status: str = "", after: str = "", limit: int = 1000
    ) -> list[BuildPartitionRecord]:
        """Returns the partitions of a build with their status in that build, by ref."""
        return run_sync(self._calls.build_partitions(build, status=status, after=after, limit=limit))

    def partitions(
        self,
        *,
        prefix: str = "",
        contains: str = "",
        pattern: str = "",
        status: str = "",
        after: str = "",
        limit: int = 100,
    ) -> list[PartitionRecord]:
        """Returns the records of partitions, by ref."""
        return run_sync(
            self._calls.partitions(
                prefix=prefix, contains=contains, pattern=pattern, status=status, after=after, limit=limit
            )
        )

    def partition_counts(self) -> dict[str, int]:
        """Returns the number of partitions by status in their newest build, and of tainted ones as `TAINTED`."""
        return run_sync(self._calls.partition_counts())

    def partition(self, ref: str) -> PartitionView:
        """Returns the record of one partition, and its newest job runs."""
        return run_sync(self._calls.partition(ref))

    def downstream(
        self, partitions: Sequence[str], *, transitive: bool = False, page_token: str = "", limit: int = 1000
    ) -> DownstreamPage:
        """Returns the partitions whose current data was made from given ones, with their states."""
        return run_sync(self._calls.downstream(partitions, transitive=transitive, page_token=page_token, limit=limit))

    def declared_downstream(
        self, partitions: Sequence[str], *, transitive: bool = False, limit: int = 1000
    ) -> DeclaredDependents:
        """Returns the outputs of declared jobs that would be made from given partitions, whether they exist or not."""
        return run_sync(self._calls.declared_downstream(partitions, transitive=transitive, limit=limit))

    def explain(self, ref: str) -> Explanation:
        """Returns the record of a partition, and what a build would do with it and why."""
        return run_sync(self._calls.explain(ref))

    def trends(self, *, ref: str = "", job_label: str = "", limit: int = 100) -> Trends:
        """Returns the numbers that were reported about a partition, or about the partitions of a job, over time."""
        return run_sync(self._calls.trends(ref=ref, job_label=job_label, limit=limit))

    def taint(
        self, partitions: Sequence[str], *, reason: str = "", untaint: bool = False, downstream: bool = False
    ) -> Taint:
        """Taints partitions, so that the next build rebuilds them, or removes their taint."""
        return run_sync(self._calls.taint(partitions, reason=reason, untaint=untaint, downstream=downstream))

    def adopt(self, partitions: Sequence[str], *, reason: str, force: bool = False, author: str = "") -> Adoption:
        """Makes partitions available whose data was not built by DataBuild: all of them, or none."""
        return run_sync(self._calls.adopt(partitions, reason=reason, force=force, author=author))

    def verify_partitions(
        self,
        partitions: Sequence[str] = (),
        *,
        content: bool = False,
        changed: str = REPORT,
        dry_run: bool = False,
        confirm_losses: bool = False,
    ) -> StoreCheck:
        """Checks whether the data of partitions is at the recorded places, and records what is missing."""
        return run_sync(
            self._calls.verify_partitions(
                partitions, content=content, changed=changed, dry_run=dry_run, confirm_losses=confirm_losses
            )
        )

    def verify_part(
        self, partitions: Sequence[str], options: StoreCheckOptions, *, author: str = "", after: str = ""
    ) -> StoreCheck:
        """Looks for the data of a part of partitions, as `verify_partitions` does for all of them."""
        return run_sync(self._calls.verify_part(partitions, options, author=author, after=after))

    def environments(self) -> list[EnvironmentView]:
        """Returns the environments, in order of their names."""
        return run_sync(self._calls.environments())

    def compare_environment(self, environment: str, partitions: Sequence[str] = ()) -> Generator[PartitionComparison]:
        """Yields a comparison with the base of each partition of which an environment has data of its own, by ref."""
        return iterate_sync(self._calls.compare_environment(environment, partitions))

    def promote_environment(
        self, environment: str, partitions: Sequence[str] = (), *, reason: str = "", author: str = ""
    ) -> Promotion:
        """Makes partitions of an environment available in the base without building them again."""
        return run_sync(self._calls.promote_environment(environment, partitions, reason=reason, author=author))

    def remove_environment(self, environment: str, *, delete_data: bool = False) -> RemovedEnvironment:
        """Removes an environment: its records, its job logs and, if asked for, its files."""
        return run_sync(self._calls.remove_environment(environment, delete_data=delete_data))

    def forget(self, partitions: Sequence[str], *, reason: str, author: str = "") -> Forgotten:
        """Makes the service forget the data of partitions, which stays in its store. The next build rebuilds it."""
        return run_sync(self._calls.forget(partitions, reason=reason, author=author))

    def delete(
        self,
        partitions: Sequence[str],
        *,
        reason: str = "",
        force: bool = False,
        dry_run: bool = False,
        author: str = "",
    ) -> Deletion:
        """Deletes the data of partitions in its stores. Data that cannot be deleted stays, with a fault."""
        return run_sync(self._calls.delete(partitions, reason=reason, force=force, dry_run=dry_run, author=author))

    def delete_part(
        self,
        partitions: Sequence[str],
        *,
        reason: str = "",
        force: bool = False,
        dry_run: bool = False,
        author: str = "",
        after: str = "",
    ) -> Deletion:
        """Deletes the data of a part of partitions, as `delete` does for all of them."""
        return run_sync(
            self._calls.delete_part(partitions, reason=reason, force=force, dry_run=dry_run, author=author, after=after)
        )

    def clean(self, *, delete_inputs: bool = False, dry_run: bool = False, author: str = "") -> Cleaning:
        """Deletes data that is older than the retention of its job, and what killed job runs left behind."""
        return run_sync(self._calls.clean(delete_inputs=delete_inputs, dry_run=dry_run, author=author))

    def prune(
        self,
        *,
        older_than_seconds: float | None = None,
        keep: int | None = None,
        logs_older_than_seconds: float | None = None,
        dry_run: bool = False,
    ) -> Pruned:
        """Removes the events and job logs of builds that have ended; the records of partitions stay."""
        return run_sync(
            self._calls.prune(
                older_than_seconds=older_than_seconds,
                keep=keep,
                logs_older_than_seconds=logs_older_than_seconds,
                dry_run=dry_run,
            )
        )

    def verify(self, builds: Sequence[str] = ()) -> Verification:
        """Checks the event log of the service, which can take minutes."""
        return run_sync(self._calls.verify(builds))

    def read_log(self, job_run_id: str, *, stream: str = "stderr", offset: int = 0, limit: int = 0) -> LogChunk:
        """Returns a chunk of a log."""
        return run_sync(self._calls.read_log(job_run_id, stream=stream, offset=offset, limit=limit))

    def logs(self, job_run_id: str, *, stream: str = "stderr", follow: bool = False) -> Generator[bytes]:
        """Yields the content of a log in chunks, which may split a character."""
        return iterate_sync(self._calls.logs(job_run_id, stream=stream, follow=follow))

    def storage(self, *, count: bool = False) -> StorageUsage:
        """Returns the size of the event log; with `count`, also its numbers of rows, and the size of the job logs."""
        return run_sync(self._calls.storage(count=count))

    def close(self) -> None:
        run_sync(self._calls.close())
