"""One run of a process on an engine, from its action to its end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeAlias

import grpc

from databuild.channels.request_headers import CredentialHelperError
from databuild.executors.executor import Placement, ProcessSpec, UnconfirmedCancellationError
from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.actions import REPORT, Actions
from databuild.executors.reapi.blob_store import UploadError
from databuild.executors.reapi.connection import Connection
from databuild.executors.reapi.limits import Outage, OutageError, explain
from databuild.executors.reapi.methods import CANCEL_OPERATION, EXECUTE, WAIT_EXECUTION
from databuild.executors.reapi.outcomes import Outcome, code_of, of_operation, of_request
from databuild.executors.reapi.times import queued_seconds, worker_seconds
from databuild.executors.uncancellable import ignoring_cancellation, uncancellable

OperationCall: TypeAlias = "grpc.aio.UnaryStreamCall[Any, api.Operation]"

_OK: Final = 0
_MAX_SUBMISSIONS: Final = 5
"""The maximum number of submissions of a process whose inputs the engine loses."""


class LostError(Exception):
    """Nothing is known of the end of the process."""


class RefusedError(Exception):
    """The engine will never run the process."""


class TimedOutError(Exception):
    """The process has exceeded its timeout.

    Args:
        response: The end of the operation, if the engine has told it.
        fault: The message of the engine.
    """

    def __init__(self, response: api.ExecuteResponse, fault: str = "") -> None:
        self.response = response
        super().__init__(fault)


class RemoteRun:
    """Submits a process, or attaches to one, and follows it to its end.

    Attributes:
        queued_seconds: The time for which it has waited for a machine; measured here if the engine does not tell it.
    """

    __slots__ = (
        "_accepted",
        "_actions",
        "_attached",
        "_connection",
        "_deadline",
        "_limits",
        "_on_placement",
        "_operation",
        "_spec",
        "_stage",
        "_submitted",
        "queued_seconds",
    )

    def __init__(
        self,
        spec: ProcessSpec,
        connection: Connection,
        actions: Actions,
        on_placement: Callable[[Placement], None] | None,
    ) -> None:
        self._spec = spec
        self._connection = connection
        self._limits = connection.limits
        self._actions = actions
        self._on_placement = on_placement
        self.queued_seconds = 0.0
        self._operation = ""
        self._attached = False
        self._submitted = False
        self._accepted = time.monotonic()
        self._stage: int | None = None
        self._deadline: asyncio.Timeout | None = None

    def _is_detached(self) -> bool:
        """Returns True if the process continues when the awaiting task is cancelled."""
        return self._connection.leaves_runs or self._spec.is_detached()

    async def end(self, operation: str = "") -> api.ExecuteResponse:
        """Returns the end of a process that has run to its end.

        Args:
            operation: The name of the operation to attach to; empty to submit the process.

        Raises:
            LostError: Nothing is known of its end.
            RefusedError: The engine will never run it.
            TimedOutError: It has exceeded its timeout, and has been ended or is being ended.
            OSError: A file of the program cannot be read.
            asyncio.CancelledError: The awaiting task was cancelled; the process has ended.
            UnconfirmedCancellationError: The same, but the engine has not confirmed the end in time.
        """
        self._operation = operation
        self._attached = self._submitted = bool(operation)
        try:
            async with asyncio.timeout(None) as self._deadline:
                return await self._submit_and_follow()
        except TimeoutError:
            response = await uncancellable(self._cancel())
            raise TimedOutError(response or api.ExecuteResponse()) from None
        except asyncio.CancelledError:
            if not _is_cancelled():
                raise LostError("the executor was closed while the process ran") from None
            if self._is_detached():
                raise
            if self._submitted and await ignoring_cancellation(self._cancel()) is None:
                raise UnconfirmedCancellationError from None
            raise
        except (OutageError, UploadError, CredentialHelperError) as error:
            raise LostError(str(error)) from error

    async def _submit_and_follow(self) -> api.ExecuteResponse:
        fault = ""
        for _ in range(_MAX_SUBMISSIONS):
            try:
                action = api.Digest() if self._operation else await self._actions.send(self._spec)
                response = await self._follow(action)
                if response.status.code == _OK:
                    return response
                fault = f"{code_of(response.status).name}: {response.status.message or response.message}"
                outcome = of_operation(response.status)
            except grpc.aio.AioRpcError as error:
                response = api.ExecuteResponse()
                fault = explain(error)
                outcome = of_request(error, accepted=bool(self._operation))
            if outcome is Outcome.TIMED_OUT:
                raise TimedOutError(response, fault)
            if outcome is Outcome.REFUSED:
                raise RefusedError(f"the engine refuses the process: {fault}")
            # Some engines do not say that inputs are missing: buildbox-casd reports an internal error.
            self._actions.check_code_again(self._spec)
            if outcome is Outcome.LOST:
                raise LostError(f"the engine does not know how the process ended: {fault}")
            if self._attached:
                # The environment of a resumed process lacks what only its first submission had, such as its token.
                raise LostError(f"the engine has lost inputs of the process: {fault}")
            self._operation = ""
            self._submitted = False
        raise LostError(f"the engine has lost inputs of the process {_MAX_SUBMISSIONS} times: {fault}")

    async def _follow(self, action: api.Digest) -> api.ExecuteResponse:
        """Submits an action, or attaches to the operation, and returns its end; attaches again after broken streams.

        Raises:
            grpc.aio.AioRpcError: The engine does not accept the action, or does not know the operation.
            OutageError: It does not answer.
            CredentialHelperError: There are no headers.
        """
        outage = Outage(self._limits)
        while True:
            started = time.monotonic()
            try:
                response = await self._read_stream(action, outage)
            except grpc.aio.AioRpcError as error:
                if time.monotonic() - started >= self._limits.steady:
                    outage.end()  # it was a connection, which some proxies cut if nothing is sent
                renewable = self._connection.can_renew_headers and not outage.headers_refused
                if error.code() is grpc.StatusCode.UNAUTHENTICATED and renewable:
                    outage.headers_refused = True
                elif of_request(error, accepted=bool(self._operation)) is Outcome.RETRY:
                    await outage.wait(error)
                else:
                    raise
            else:
                if response is not None:
                    return response
                await outage.wait_after("the engine ends its streams before the end of the process")

    async def _read_stream(self, action: api.Digest, outage: Outage) -> api.ExecuteResponse | None:
        """Reads the states of the operation. Returns its end; None if the stream ended before."""
        async with self._open_stream(action) as call:
            operation = await (call.read() if self._operation else self._read_first(call))
            while operation is not grpc.aio.EOF:
                outage.end()
                self._note(operation)
                if operation.done:
                    return self._ended(_response(operation))
                operation = await call.read()
        return None

    def _open_stream(self, action: api.Digest) -> AbstractAsyncContextManager[OperationCall]:
        if self._operation:
            return self._connection.stream(WAIT_EXECUTION, api.WaitExecutionRequest(name=self._operation))
        request = api.ExecuteRequest(
            instance_name=self._connection.address.instance,
            skip_cache_lookup=True,
            action_digest=action,
            inline_stdout=True,
            inline_stderr=True,
            inline_output_files=[REPORT] if self._spec.report else [],
        )
        return self._connection.stream(EXECUTE, request)

    async def _read_first(self, call: OperationCall) -> Any:
        """Reads the first state, which has the name of the operation.

        If cancelled, waits for it nevertheless: cancelling the process takes the name.
        """
        self._submitted = True
        reading = asyncio.ensure_future(call.read())
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            if not _is_cancelled() or self._is_detached():
                raise
            await ignoring_cancellation(asyncio.wait((reading,), timeout=self._limits.cancel))
            if reading.done() and reading.exception() is None and reading.result() is not grpc.aio.EOF:
                self._note(reading.result())
            reading.cancel()
            raise

    def _note(self, operation: api.Operation) -> None:
        """Tells the handle and the stage of the operation if they are new, and sets the deadline."""
        if operation.name != self._operation:
            self._operation = operation.name
            self._accepted = time.monotonic()
            self._tell(Placement(handle=handle_of(operation.name)))
        if operation.done:
            return
        metadata = api.ExecuteOperationMetadata.FromString(operation.metadata.value)
        if metadata.stage in {self._stage, api.ExecutionStage.UNKNOWN}:
            return
        before, self._stage = self._stage, metadata.stage
        running = self._stage == api.ExecutionStage.EXECUTING
        if running:
            ran = metadata.partial_execution_metadata
            measured = 0.0 if self._attached else time.monotonic() - self._accepted
            self._started(ran.worker, queued_seconds(ran) or measured)
        elif before == api.ExecutionStage.EXECUTING:
            self._tell(Placement())  # the engine has lost the machine, and begins again
        if self._deadline is not None and self._spec.timeout_seconds is not None:
            # Other stages may be queueing, for which a process has no timeout.
            after = self._spec.timeout_seconds + self._limits.timeout_margin
            self._deadline.reschedule(asyncio.get_running_loop().time() + after if running else None)

    def _ended(self, response: api.ExecuteResponse) -> api.ExecuteResponse:
        """Tells the machine of a process that has ended if the engine has not told it before."""
        ran = response.result.execution_metadata
        queued = queued_seconds(ran)
        if not queued and not self._attached:
            queued = max(time.monotonic() - self._accepted - worker_seconds(ran), 0.0)
        if self._stage != api.ExecutionStage.EXECUTING and (response.status.code == _OK or ran.worker):
            self._started(ran.worker, queued)
        self.queued_seconds = self.queued_seconds or queued
        return response

    def _started(self, machine: str, queued: float) -> None:
        self.queued_seconds = queued
        self._tell(Placement(machine=machine, queued_seconds=queued))

    def _tell(self, placement: Placement) -> None:
        if self._on_placement is not None:
            self._on_placement(placement)

    async def _cancel(self) -> api.ExecuteResponse | None:
        """Ends the process on the engine. Returns the end of the operation; None if it is not confirmed in time."""
        self._deadline = None
        self._on_placement = None
        if not self._operation:
            return None
        try:
            async with asyncio.timeout(self._limits.cancel):
                accepted = await self._request_end()
                try:
                    return await self._follow(api.Digest())
                except grpc.aio.AioRpcError as error:
                    # An engine may forget what it has cancelled.
                    forgotten = accepted and error.code() is grpc.StatusCode.NOT_FOUND
                    return api.ExecuteResponse() if forgotten else None
        except (TimeoutError, OutageError, CredentialHelperError):
            return None
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            return None  # the executor was closed

    async def _request_end(self) -> bool:
        try:
            await self._connection.call(CANCEL_OPERATION, api.CancelOperationRequest(name=self._operation))
        except grpc.aio.AioRpcError:
            return False  # it has ended, or the engine cannot cancel: the state of the operation tells
        return True


def handle_of(operation: str) -> str:
    """Returns the handle of a run, from the name of its operation."""
    return json.dumps({"operation": operation})


def operation_of(handle: str) -> str:
    """Returns the name of the operation of a handle; empty if it is not a handle of this executor."""
    try:
        operation = json.loads(handle)["operation"]
    except (ValueError, KeyError, TypeError):
        return ""
    return operation if isinstance(operation, str) else ""


def _is_cancelled() -> bool:
    """Returns True if the running task was cancelled; False if only a call of gRPC was, as when a channel closes."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _response(operation: api.Operation) -> api.ExecuteResponse:
    if operation.HasField("error"):
        return api.ExecuteResponse(status=operation.error)
    return api.ExecuteResponse.FromString(operation.response.value)
