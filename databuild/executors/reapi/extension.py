"""Runs processes on engines with the Remote Execution API."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import grpc

from databuild.channels.address import parse_address
from databuild.channels.request_headers import CredentialHelperError, RequestHeaders
from databuild.errors import ExecutorError, InvalidRequestError
from databuild.executors.command_size import CommandSize
from databuild.executors.executor import Capabilities, Capacity, Placement, ProcessResult, ProcessSpec
from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.actions import Actions
from databuild.executors.reapi.blob_store import BlobStore
from databuild.executors.reapi.code_store import CodeStore
from databuild.executors.reapi.code_tree import CodeTrees
from databuild.executors.reapi.connection import Connection
from databuild.executors.reapi.handshake import check_capabilities, connection_fault
from databuild.executors.reapi.limits import Limits
from databuild.executors.reapi.methods import GET_CAPABILITIES
from databuild.executors.reapi.remote_run import LostError, RefusedError, RemoteRun, TimedOutError, operation_of
from databuild.executors.reapi.results import ReportLostError, Results
from databuild.executors.reapi.times import duration_seconds
from databuild.executors.registry import ExecutorOptions
from databuild.executors.start_faults import StartFault

_CAPACITY: Final = Capacity(1_000, "the default for engines, which do not tell how many machines they have")


class ReapiExecutor:
    """Runs each process as an action of an engine."""

    capabilities = Capabilities(
        ships_code=True, survives_client=True, live_logs=False, hard_cancel=False, may_run_twice=True
    )
    capacity = _CAPACITY

    def __init__(self, uri: str, options: ExecutorOptions, limits: Limits) -> None:
        """Connects to nothing yet.

        Args:
            uri: The address of the engine.
            options: How to talk to it.
            limits: Limits on the time that it gets.

        Raises:
            InvalidRequestError: The address is invalid, or a file for TLS cannot be read.
        """
        address = parse_address(uri, tls_scheme="reapis", system="an engine")
        if not address.tls and any((options.tls.authority, options.tls.certificate, options.tls.key)):
            raise InvalidRequestError(f"certificates need TLS: write reapis:// instead of reapi:// in {address.uri!r}")
        headers = RequestHeaders(options.headers, options.credential_helper, options.environ, address.url)
        self._connection = Connection(address, headers, options.tls, limits)
        self._store = BlobStore(self._connection)
        self._code = CodeStore(CodeTrees(options.cache_directory), self._store)
        self._actions = Actions(self._store, self._code)
        self._results = Results(self._store, options.log_limit_bytes)
        self._command_size = CommandSize({})
        self._connecting = asyncio.Lock()
        self._connected = False

    @property
    def uri(self) -> str:
        return self._connection.address.uri

    async def connect(self) -> None:
        async with self._connecting:
            if self._connected:
                return
            request = api.GetCapabilitiesRequest(instance_name=self._connection.address.instance)
            try:
                capabilities = await self._connection.call_once(
                    GET_CAPABILITIES, request, seconds=self._connection.limits.connect
                )
            except grpc.aio.AioRpcError as error:
                raise ExecutorError(self.uri, connection_fault(error, self._connection.address)) from error
            except CredentialHelperError as error:
                raise ExecutorError(self.uri, str(error)) from error
            fault = check_capabilities(capabilities)
            if fault:
                raise ExecutorError(self.uri, fault)
            self._store.limit_batches(capabilities.cache_capabilities.max_batch_total_size_bytes)
            self._connected = True

    def command_fault(self, argv: Sequence[str], env: Mapping[str, str]) -> str:
        for text in (*argv, *env, *env.values()):
            if not _is_unicode(text):
                return f"{text!r} is not UTF-8, and the Remote Execution API takes nothing else. Write it into a file"
        return self._command_size.fault(argv, env)

    async def run(
        self,
        spec: ProcessSpec,
        on_report: Callable[[bytes], None] | None = None,
        on_placement: Callable[[Placement], None] | None = None,
    ) -> ProcessResult:
        return await self._to_end("", spec, on_report, on_placement)

    async def resume(
        self,
        handle: str,
        spec: ProcessSpec,
        on_report: Callable[[bytes], None] | None = None,
        on_placement: Callable[[Placement], None] | None = None,
    ) -> ProcessResult:
        operation = operation_of(handle)
        if not operation:
            return _lost(f"{handle!r} is not a handle of a run on {self.uri}")
        return await self._to_end(operation, spec, on_report, on_placement)

    def leave(self) -> None:
        self._connection.leaves_runs = True

    async def close(self) -> None:
        await self._code.close()
        await self._connection.close()

    async def _to_end(
        self,
        operation: str,
        spec: ProcessSpec,
        on_report: Callable[[bytes], None] | None,
        on_placement: Callable[[Placement], None] | None,
    ) -> ProcessResult:
        run = RemoteRun(spec, self._connection, self._actions, on_placement)
        try:
            response = await run.end(operation)
        except LostError as error:
            return _lost(str(error))
        except RefusedError as error:
            return ProcessResult(exit_code=-1, refused=str(error))
        except TimedOutError as error:
            note = "" if spec.timeout_seconds is not None else f"the engine has ended the process: {error}"
            result = await self._result(spec, error.response, on_report, timed_out=True, note=note)
        except OSError as error:
            fault = StartFault(message=f"its files cannot be read: {error}; build the graph again with Bazel")
            return ProcessResult(exit_code=-1, start_fault=fault)
        else:
            result = await self._result(spec, response, on_report)
        return result._replace(queued_seconds=run.queued_seconds)

    async def _result(
        self,
        spec: ProcessSpec,
        response: api.ExecuteResponse,
        on_report: Callable[[bytes], None] | None,
        *,
        timed_out: bool = False,
        note: str = "",
    ) -> ProcessResult:
        """Delivers the output of a process that has ended, and returns its result.

        Args:
            spec: The process.
            response: The end of its operation.
            on_report: Called with each line of its report.
            timed_out: True if it has exceeded its timeout.
            note: A line to add to standard error.
        """
        result = response.result
        stdout = await self._results.deliver_output(spec.stdout, result.stdout_raw, result.stdout_digest)
        stderr = await self._results.deliver_output(spec.stderr, result.stderr_raw, result.stderr_digest, note)
        if on_report is not None:
            try:
                await self._results.deliver_report(spec, result, on_report)
            except ReportLostError as error:
                return _lost(str(error))
        ran = result.execution_metadata
        return ProcessResult(
            exit_code=-signal.SIGKILL if timed_out else result.exit_code,
            timed_out=timed_out,
            duration_seconds=duration_seconds(ran),
            stdout=stdout,
            stderr=stderr,
            machine=ran.worker,
        )


def open_executor(uri: str, options: ExecutorOptions) -> ReapiExecutor:
    """Returns an executor that is not connected yet.

    Raises:
        InvalidRequestError: The URI is invalid, or a file for TLS cannot be read.
    """
    return ReapiExecutor(uri, options, Limits())


def _lost(reason: str) -> ProcessResult:
    return ProcessResult(exit_code=-1, lost=reason)


def _is_unicode(text: str) -> bool:
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False
