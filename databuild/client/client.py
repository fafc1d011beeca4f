"""The client for who waits: scripts, notebooks, the command line."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from databuild.client.calls import Adopted, Calls, Marked
from databuild.client.connection import RETRY_TIMEOUT_SECONDS
from databuild.client.driving import finish, iterate
from databuild.client.endpoint import Tls
from databuild.client.remote_build import RemoteBuild
from databuild.client.settings import connection_to
from databuild.client.transport import BlockingTransport
from databuild.model.build_options import BuildKeywords, PlanKeywords
from databuild.model.build_request_id import new_build_request_id
from databuild.model.job_graph import Plan
from databuild.model.pruning import Pruned
from databuild.model.records import BuildPartitionRecord, JobRunRecord, PartitionRecord
from databuild.model.results import BuildResult
from databuild.model.views import BuildView, Explanation, LogChunk, PartitionView, StorageUsage, Verification
from databuild.v1 import events_pb2 as ev


class DatabuildClient:
    """Builds on a service. Used from any thread, also where an event loop runs; nothing is sent before it is asked for.

    Every method raises what the service raises, and ServiceUnreachableError where nobody answers. Where a method takes
    a build, that is an id, the beginning of one that no other id has, or `latest`. Each is one line around the
    coroutine of the same name, which says what its arguments mean.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        token: str | None = None,
        author: str | None = None,
        graph: str = "",
        tls: Tls | None = None,
        retry_timeout: float = RETRY_TIMEOUT_SECONDS,
    ) -> None:
        """Takes where the service is.

        Args:
            endpoint: `HOST:PORT` of gRPC, or `grpcs://HOST:PORT` for TLS.
            token: The token to show; None for that of the environment variable `DATABUILD_TOKEN`.
            author: Who asks, where the service has no tokens; None for the user of this process.
            graph: The label of the graph that is meant: a service of another refuses; empty for any.
            tls: The files of TLS; None for the roots that everybody trusts.
            retry_timeout: The seconds for which a service that has answered before is retried.

        Raises:
            InvalidRequestError: That is no address of a service, or a file cannot be read.
        """
        self._calls = Calls(
            connection_to(
                endpoint,
                BlockingTransport,
                token=token,
                author=author,
                graph=graph,
                tls=tls,
                retry_timeout=retry_timeout,
            )
        )

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets go of the connection."""
        self.close()

    def create_orchestrator(
        self,
        partitions: Sequence[str] = (),
        *,
        build_request_id: str = "",
        plan: Plan | None = None,
        **options: Unpack[BuildKeywords],
    ) -> RemoteBuild[BuildView]:
        """Returns a build that has its id and is not started; its arguments are those of `submit`."""
        return RemoteBuild(
            build_request_id or new_build_request_id(),
            partitions,
            lambda build: finish(self._calls.start(build)),
            plan=plan,
            **options,
        )

    def execute_build(
        self, build: RemoteBuild[Any], *, check: bool = False, on_event: Callable[[ev.BuildEvent], None] | None = None
    ) -> BuildResult:
        """Starts a build, unless it was started, and returns what came of it; notebooks show it live."""
        return finish(self._calls.execute_build(build, check=check, on_event=on_event))

    def submit(
        self,
        partitions: Sequence[str] = (),
        *,
        build_request_id: str = "",
        plan: Plan | None = None,
        **options: Unpack[BuildKeywords],
    ) -> BuildView:
        """Starts a build and returns how it stands once it is recorded."""
        return finish(self._calls.submit(partitions, build_request_id=build_request_id, plan=plan, **options))

    def get(self, build: str = "latest") -> BuildView:
        """Returns how a build stands."""
        return finish(self._calls.get(build))

    def list_builds(self, *, status: str = "", before: str = "", limit: int = 20) -> list[BuildView]:
        """Returns builds, newest first."""
        return finish(self._calls.list_builds(status=status, before=before, limit=limit))

    def watch(self, build: str = "latest", *, after: int = 0) -> Generator[ev.BuildEvent]:
        """Returns the events of a build, then new ones as they come; ends with the build."""
        return iterate(self._calls.watch(build, after=after))

    def wait(self, build: str = "latest", *, check: bool = False) -> BuildResult:
        """Waits for the end of a build and returns what came of it."""
        return finish(self._calls.wait(build, check=check))

    def cancel(self, build: str = "latest", *, author: str = "") -> BuildView:
        """Asks for a build to be stopped, and returns how it stands."""
        return finish(self._calls.cancel(build, author=author))

    def retry(
        self,
        build: str = "latest",
        *,
        build_request_id: str = "",
        failed_jobs_only: bool = False,
        **options: Unpack[BuildKeywords],
    ) -> BuildView:
        """Starts a build of what another was asked for; what that one finished is not repeated."""
        return finish(
            self._calls.retry(
                build,
                build_request_id=build_request_id,
                failed_jobs_only=failed_jobs_only,
                **options,
            )
        )

    def plan(self, partitions: Sequence[str] = (), **options: Unpack[PlanKeywords]) -> Plan:
        """Returns what a build would do; starts none."""
        return finish(self._calls.plan(partitions, **options))

    def events(self, build: str = "latest", *, after: int = 0, limit: int = 1000) -> list[ev.BuildEvent]:
        """Returns events of a build, in order."""
        return finish(self._calls.events(build, after=after, limit=limit))

    def job_runs(
        self, build: str = "latest", *, status: str = "", after: int = 0, limit: int = 1000
    ) -> list[JobRunRecord]:
        """Returns the job runs of a build, in the order in which they were first heard of."""
        return finish(self._calls.job_runs(build, status=status, after=after, limit=limit))

    def job_run(self, job_run_id: str) -> JobRunRecord:
        """Returns how a job run stands."""
        return finish(self._calls.job_run(job_run_id))

    def runs_of_job(self, job_label: str, *, limit: int = 20) -> list[JobRunRecord]:
        """Returns the job runs of a job that were started, newest first."""
        return finish(self._calls.runs_of_job(job_label, limit=limit))

    def build_partitions(
        self, build: str = "latest", *, status: str = "", after: str = "", limit: int = 1000
    ) -> list[BuildPartitionRecord]:
        """Returns the partitions of a build with where they stand in it, by ref."""
        return finish(self._calls.build_partitions(build, status=status, after=after, limit=limit))

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
        """Returns what is known of partitions, by ref."""
        return finish(
            self._calls.partitions(
                prefix=prefix, contains=contains, pattern=pattern, status=status, after=after, limit=limit
            )
        )

    def partition_counts(self) -> dict[str, int]:
        """Returns how many partitions there are of each newest status (`TAINTED` apart)."""
        return finish(self._calls.partition_counts())

    def partition(self, ref: str) -> PartitionView:
        """Returns what is known of one partition."""
        return finish(self._calls.partition(ref))

    def explain(self, ref: str) -> Explanation:
        """Returns what is known of a partition, and what a build would do with it and why."""
        return finish(self._calls.explain(ref))

    def taint(self, partitions: Sequence[str], *, reason: str = "", untaint: bool = False) -> Marked:
        """Marks partitions as not to be trusted, or takes the mark away."""
        return finish(self._calls.taint(partitions, reason=reason, untaint=untaint))

    def adopt(self, partitions: Sequence[str], *, reason: str, force: bool = False, author: str = "") -> Adopted:
        """Makes data available that was not built by DataBuild: all of the partitions, or none."""
        return finish(self._calls.adopt(partitions, reason=reason, force=force, author=author))

    def prune(
        self,
        *,
        older_than_seconds: float | None = None,
        keep: int | None = None,
        logs_older_than_seconds: float | None = None,
        dry_run: bool = False,
    ) -> Pruned:
        """Removes the events and job logs of builds that have ended; the records of partitions stay."""
        return finish(
            self._calls.prune(
                older_than_seconds=older_than_seconds,
                keep=keep,
                logs_older_than_seconds=logs_older_than_seconds,
                dry_run=dry_run,
            )
        )

    def verify(self, builds: Sequence[str] = ()) -> Verification:
        """Checks the event log of the service, which can take minutes."""
        return finish(self._calls.verify(builds))

    def read_log(self, job_run_id: str, *, stream: str = "stderr", offset: int = 0, limit: int = 0) -> LogChunk:
        """Returns a piece of what a job run wrote."""
        return finish(self._calls.read_log(job_run_id, stream=stream, offset=offset, limit=limit))

    def logs(self, job_run_id: str, *, stream: str = "stderr", follow: bool = False) -> Generator[bytes]:
        """Returns what a job run wrote, piece by piece."""
        return iterate(self._calls.logs(job_run_id, stream=stream, follow=follow))

    def storage(self, *, count: bool = False) -> StorageUsage:
        """Returns how much room things take."""
        return finish(self._calls.storage(count=count))

    def close(self) -> None:
        """Lets go of the connection."""
        finish(self._calls.close())
