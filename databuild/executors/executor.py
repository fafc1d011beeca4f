"""The interfaces of executors, which run processes of jobs on some machine.

They know processes, files and signals; they do not know partitions, plans or events. `LocalExecutor` runs processes on
this machine, a `RemoteExecutor` hands them to an engine that has machines of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol

from databuild.executors.start_faults import StartFault
from databuild.tuples import EMPTY, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from databuild.v1.job_pb2 import JobConfigureResponse

ENGINE_VARIABLE: Final = "DATABUILD_EXECUTOR"
"""The environment variable with the address of the engine, in processes that an engine runs. On a machine that has both
an orchestrator and workers of its engine, they are not taken for processes of the orchestrator."""


class Capacity(NamedTuple):
    """The number of processes that an executor can run at once.

    Attributes:
        processes: The number; further processes wait.
        reason: The limit that decides it, in words.
    """

    processes: int
    reason: str


class Capabilities(NamedTuple):
    """The abilities of an executor that its users have to know.

    Attributes:
        ships_code: The program and its runfiles need not exist on the machine that runs them.
        survives_client: Runs continue when the process that submitted them dies, and another can attach to them.
        live_logs: Output and reports arrive while the process runs, not only at its end.
        hard_cancel: A cancelled process has ended when the cancellation returns.
        may_run_twice: The executor may run one process several times, even at once.
    """

    ships_code: bool
    survives_client: bool
    live_logs: bool
    hard_cancel: bool
    may_run_twice: bool


class Placement(NamedTuple):
    """News about where a process is.

    Attributes:
        handle: The text by which `RemoteExecutor.resume` finds the run again; empty if it is not new.
        machine: The name of the machine that runs it; empty while it waits, or if the executor does not say.
        queued_seconds: The time for which it waited before it started; 0.0 while it waits.
    """

    handle: str = ""
    machine: str = ""
    queued_seconds: float = 0.0


class Code(NamedTuple):
    """The program of a job with its runfiles, for executors that ship it.

    Attributes:
        root: The runfiles root on this machine; the program is in it.
        files: The file that lists the runfiles of the program (`code_files.py`).
        digest: A hash of the program and its runfiles. Code with an equal digest need not be read or sent again.
    """

    root: str
    files: str
    digest: str


class WorkerSpec(NamedTuple):
    """A request to a worker, a process that serves many requests (docs/workers.md), instead of a process of its own.

    Attributes:
        env: The environment variables with which a worker is started. Only workers with equal ones are reused.
        code_digest: A hash of the program and its runfiles. A worker of other code is never reused.
        arguments: The arguments of the run; with `configure`, the refs.
        configure: True to ask for the configurations of refs, False to run the job.
        max_requests: The number of requests after which a worker is replaced; 0 for no limit.
        max_memory_bytes: The resident memory above which a worker is replaced after a request; 0 for no limit.
    """

    env: Mapping[str, str]
    code_digest: str
    arguments: Sequence[str]
    configure: bool = False
    max_requests: int = 0
    max_memory_bytes: int = 0


class WorkerFault(NamedTuple):
    """The reason why a worker did not serve a request.

    Attributes:
        message: The cause and the next step, as the predicate of a sentence about the job.
        users_fault: True if the program of the worker is at fault; False if it may serve the request another time.
    """

    message: str
    users_fault: bool = True


class RunQueue(NamedTuple):
    """A queue in which a run may wait for the ends of others, instead of starting at once.

    Attributes:
        name: The name of the queue.
        slots: The number of its runs that run at once.
        on_start: Called with the monotonic time of the start, and True if the run has ended already, as a short one
            has. Called before anything else is reported of the run, and possibly again.
        may_report: Returns False while nothing may be reported of the run.
        after: The names of runs in the queue (`ProcessSpec.run_id`) that have to end well before it starts.
    """

    name: str
    slots: int
    on_start: Callable[[float, bool], None]
    may_report: Callable[[], bool]
    after: Sequence[str] = ()


class NotStartedError(Exception):
    """A run that waited in a queue was not started, since another run of the queue failed, has reports, or has left it.

    The caller looks at that one first, and then decides whether it runs this one.
    """


class ProcessSpec(NamedTuple):
    """One process to run.

    Attributes:
        argv: The command line; `argv[0]` is the path of the executable.
        env: Environment variables; they override the executor's base environment.
        cwd: The working directory.
        stdout: The file that standard output is appended to, created at its first byte; empty to return the output in
            the result.
        stderr: The same for standard error.
        report: The file to which the process may append report lines; empty for none.
        timeout_seconds: The maximum run time; None for no limit.
        run_id: The name of the run, which no other run ever has. Local processes outside of queues need none.
        code: The program, for executors that ship code.
        task: The task description of the run, or the file with it if it is large; for executors without access to this
            machine.
        properties: Requirements on the machine, in the words of the engine.
        resources: The amount of each named resource that the run needs.
        is_detached: Called when the awaiting task is cancelled: returns True to let the process continue, for another
            process of DataBuild to resume. Only engines can do that.
        worker: The same run as a request to a worker; None for a process of its own. Executors without workers run the
            process.
        queue: The queue in which it may wait; None to start it at once. Only executors that answer `queue_room` have
            queues.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    stdout: str = ""
    stderr: str = ""
    report: str = ""
    timeout_seconds: float | None = None
    run_id: str = ""
    code: Code | None = None
    task: bytes | Path = b""
    properties: Mapping[str, str] = EMPTY
    resources: Mapping[str, int] = EMPTY
    is_detached: Callable[[], bool] = bool  # which returns False
    worker: WorkerSpec | None = None
    queue: RunQueue | None = None


class ProcessResult(NamedTuple):
    """The end of a process.

    Attributes:
        exit_code: The exit code; the negative signal number if a signal ended the process.
        timed_out: True if the process was ended because it exceeded its timeout.
        duration_seconds: The run time.
        cpu_seconds: The processor time of the process and of the children that it waited for.
        peak_memory_bytes: The peak resident memory of the largest of these processes.
        start_fault: The reason why the process could not be started; None if it was started.
        oom_kills: The number of processes in the control group that the kernel killed for lack of memory during the
            run; 0 unless the process was ended by KILL.
        unended: Processes of its group that could not be ended and may still write.
        stdout: The end of standard output, up to a limit, if the spec names no file for it.
        stderr: The same for standard error.
        lost: The reason why nothing is known of the end of the process, which may have run, or may still run; empty if
            it is known. Other attributes mean nothing then.
        refused: The reason why the engine will never run the process; empty if it has run.
        machine: The machine that ran it; empty for this one, or if the executor does not say.
        queued_seconds: The time for which it waited for a machine.
        worker_id: The worker that served it; empty for a process of its own.
        worker_request: The number of the request among those of the worker, from 1.
        worker_fault: The reason why the worker did not serve it; None if it did, or if a signal ended the worker.
        configured: The answer of a worker to a request for configurations.
    """

    exit_code: int
    timed_out: bool = False
    duration_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    start_fault: StartFault | None = None
    oom_kills: int = 0
    unended: Sequence[int] = ()
    stdout: bytes = b""
    stderr: bytes = b""
    lost: str = ""
    refused: str = ""
    machine: str = ""
    queued_seconds: float = 0.0
    worker_id: str = ""
    worker_request: int = 0
    worker_fault: WorkerFault | None = None
    configured: JobConfigureResponse | None = None


class UnconfirmedCancellationError(asyncio.CancelledError):
    """The awaiting task was cancelled, and the engine did not confirm in time that the process has ended."""


class Executor(Protocol):
    """Runs processes."""

    @property
    def capabilities(self) -> Capabilities:
        """The abilities of the executor."""
        ...

    @property
    def capacity(self) -> Capacity:
        """The number of processes that can run at once."""
        ...

    def command_fault(self, argv: Sequence[str], env: Mapping[str, str]) -> str:
        """Returns the reason why a command line can never be started, such as its size; empty if there is none.

        Args:
            argv: The command line.
            env: Environment variables; they override the executor's base environment.
        """
        ...

    async def run(self, spec: ProcessSpec, on_report: Callable[[bytes], None] | None = None) -> ProcessResult:
        """Runs a process to its end.

        If the process exceeds its timeout, or the awaiting task is cancelled, the whole process group gets TERM, a
        grace period and KILL, and has ended when this returns or raises. A process that cannot be ended, because it
        waits in the kernel, is given up after a limit and named in the result.

        Args:
            spec: The process.
            on_report: Called with each line of the report file, with `live_logs` at most a fraction of a second after
                it was written. It has been called with every line when this returns.

        Raises:
            asyncio.CancelledError: The awaiting task was cancelled; the process group has ended.
            NotStartedError: The process waited in a queue, and was not started.
        """
        ...


class ProcessExecutor(Executor, Protocol):
    """Runs processes on this machine, each in a process group of its own, or by workers."""

    def guarded(self, build_request_id: str) -> AbstractContextManager[None]:
        """Returns a context in which no process of a build outlives this process, even if this process is killed."""
        ...

    def expect_runs(self, slots: int, count: int) -> None:
        """Lets the executor prepare for runs that will probably follow.

        Args:
            slots: The number of runs that run at once.
            count: The number of runs.
        """
        ...

    def queue_room(self, slots: int, waiting: int) -> int | None:
        """Returns the number of runs that may wait in a queue; None if runs start at once.

        Args:
            slots: The number of runs of the queue that run at once.
            waiting: The number of runs that the caller could pass now.
        """
        ...

    async def kill_orphans(self, build_request_id: str, process: str) -> None:
        """Kills the processes of a build whose orchestrator has died, and returns when they have ended.

        Args:
            build_request_id: The build.
            process: The name of the process that ran it, whose workers end as well; empty if it is unknown.

        Raises:
            ProcessesLeftError: Some of them cannot be ended.
        """
        ...

    async def close(self) -> None:
        """Ends the workers, and returns when they have ended. No run may be in progress."""
        ...


class RemoteExecutor(Executor, Protocol):
    """Hands processes to an engine that has machines of its own.

    The engine may run a process more than once. Its environment has the variables of the spec alone, and those that
    name the report and the task description, which the executor sets for the machine that runs it.
    """

    @property
    def uri(self) -> str:
        """The address of the engine, without secrets."""
        ...

    async def connect(self) -> None:
        """Connects to the engine. Called before any run; later calls do nothing.

        Raises:
            ExecutorError: The engine cannot be reached, or refuses this client, or its configuration does not fit.
        """
        ...

    async def run(
        self,
        spec: ProcessSpec,
        on_report: Callable[[bytes], None] | None = None,
        on_placement: Callable[[Placement], None] | None = None,
    ) -> ProcessResult:
        """Runs a process to its end, as each executor does.

        Args:
            spec: The process. Its `run_id` is the name of the run in the engine, as far as the engine has names.
            on_report: As for each executor.
            on_placement: Called when the engine has accepted the run, and when a machine has started it.

        Raises:
            asyncio.CancelledError: The awaiting task was cancelled; the process has ended.
            UnconfirmedCancellationError: The awaiting task was cancelled; the engine did not confirm the end in time.
        """
        ...

    async def resume(
        self,
        handle: str,
        spec: ProcessSpec,
        on_report: Callable[[bytes], None] | None = None,
        on_placement: Callable[[Placement], None] | None = None,
    ) -> ProcessResult:
        """Attaches to a run that a process that has died submitted, and continues as `run` does.

        Output and reports from before are delivered again, to files that are written again from the start.

        Args:
            handle: The handle of the run, from its placement; empty if the process that submitted it died before it
                recorded one. Then an engine that names its runs is asked by `run_id`.
            spec: The same process.
            on_report: As for `run`.
            on_placement: As for `run`.

        Returns:
            The result; it is `lost` if the engine does not know the run any more.

        Raises:
            asyncio.CancelledError: As for `run`.
            UnconfirmedCancellationError: As for `run`.
        """
        ...

    def leave(self) -> None:
        """Lets runs continue when their tasks are cancelled from now on, so that another process can resume them."""
        ...

    async def close(self) -> None:
        """Disconnects. Runs that have not ended go on if the engine's capabilities say so; to callers they are lost."""
        ...
