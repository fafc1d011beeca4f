"""The run of a process on an engine that obeys the protocol, and on one that does not."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace

import grpc
import pytest

from databuild.executors.executor import Placement, UnconfirmedCancellationError
from databuild.executors.reapi import remote_execution_pb2 as api
from databuild.executors.reapi.extension import ReapiExecutor
from databuild.executors.reapi.limits import Limits
from databuild.executors.registry import ExecutorOptions
from tests.engines.fake_engine import QUICK, FakeEngine, FakeOperation, failed, missing_blobs
from tests.support.executors import Runs
from tests.support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE, "overloaded")


async def test_an_action_has_all_that_the_engine_needs(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    spec = runs.shell("true", env={"B": "2", "A": "1"}, timeout_seconds=1.5, properties={"os": "linux"}, run_id="run-1")

    result = await executor.run(spec._replace(stdout=""))

    (operation,) = engine.operations.values()
    action, command = operation.action, operation.command
    assert result.stdout == b"ran\n"
    assert (operation.salt, action.do_not_cache, action.timeout.ToMilliseconds()) == ("run-1", True, 2000)
    assert [(p.name, p.value) for p in action.platform.properties] == [("os", "linux")]
    assert command.platform == action.platform
    assert [(v.name, v.value) for v in command.environment_variables][:2] == [("A", "1"), ("B", "2")]


async def test_properties_are_sent_sorted_by_name(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    await executor.run(runs.shell("true", properties={"pool": "large", "os": "linux"}))

    (operation,) = engine.operations.values()
    assert [(p.name, p.value) for p in operation.action.platform.properties] == [("os", "linux"), ("pool", "large")]


async def test_placements_follow_the_stages(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    engine.holds = engine.runs_forever = True
    placements: list[Placement] = []
    running = asyncio.create_task(executor.run(runs.shell("true"), None, placements.append))
    await until(lambda: len(placements) == 1)
    (operation,) = engine.operations.values()
    engine.start_all()
    await until(lambda: len(placements) == 2)
    engine.queue_again(operation)
    await until(lambda: len(placements) == 3)
    engine.runs_forever = False
    engine.start_all()

    result = await running

    accepted, *others = placements
    assert json.loads(accepted.handle) == {"operation": operation.name}
    assert [placement.machine for placement in others] == ["machine-1", "", "machine-1"]
    assert others[0].queued_seconds > 0
    assert (result.machine, result.queued_seconds) == ("machine-1", others[-1].queued_seconds)


async def test_times_are_those_of_the_engine(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    def timed(operation: FakeOperation) -> api.ExecuteResponse:
        response = api.ExecuteResponse()
        metadata = response.result.execution_metadata
        metadata.queued_timestamp.FromSeconds(100)
        metadata.worker_start_timestamp.FromSeconds(107)
        metadata.execution_start_timestamp.FromSeconds(108)
        metadata.execution_completed_timestamp.FromSeconds(120)
        metadata.worker_completed_timestamp.FromSeconds(130)
        return response

    engine.run = timed
    placements: list[Placement] = []

    result = await executor.run(runs.shell("true"), None, placements.append)

    assert (result.duration_seconds, result.queued_seconds) == (12.0, 7.0)
    assert placements[-1].queued_seconds == 7.0


@pytest.mark.parametrize("faults", [{"Execute": [UNAVAILABLE] * 20}, {"BatchUpdateBlobs": [UNAVAILABLE] * 20}])
async def test_an_engine_that_is_overloaded_is_asked_again(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs, faults: dict[str, list[tuple[grpc.StatusCode, str]]]
) -> None:
    engine.faults = faults

    result = await executor.run(runs.shell("true"))

    assert (result.exit_code, result.lost, len(engine.operations)) == (0, "", 1)


@pytest.mark.parametrize("fault", ["breaks", "closes"])
async def test_a_stream_that_ends_early_is_replaced(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs, fault: str
) -> None:
    setattr(engine, fault, 4)
    placements: list[Placement] = []

    result = await executor.run(runs.shell("true"), None, placements.append)

    assert (result.exit_code, result.lost, len(engine.operations)) == (0, "", 1)
    assert len([placement for placement in placements if placement.handle]) == 1


@pytest.mark.parametrize(("steady", "lost"), [(0.0, False), (1000.0, True)])
async def test_a_proxy_may_cut_streams_on_which_nothing_is_sent(
    engine: FakeEngine, runs: Runs, steady: float, lost: bool
) -> None:
    executor = ReapiExecutor(engine.uri, ExecutorOptions(), replace(QUICK, steady=steady))
    engine.breaks = 1
    engine.faults = {"WaitExecution": [(grpc.StatusCode.INTERNAL, "RST_STREAM")] * 20}

    result = await executor.run(runs.shell("true"))
    await executor.close()

    assert bool(result.lost) is lost


async def test_an_engine_that_restarts_with_its_operations_goes_on(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.holds = True
    running = asyncio.create_task(executor.run(runs.shell("true")))
    await until(lambda: engine.operations)

    await engine.stop()
    await engine.start()
    engine.start_all()
    result = await running

    assert (result.exit_code, result.lost, len(engine.operations)) == (0, "", 1)


async def test_a_run_that_an_engine_forgets_in_a_restart_is_lost(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.holds = True
    running = asyncio.create_task(executor.run(runs.shell("true")))
    await until(lambda: engine.operations)

    await engine.stop()
    engine.operations.clear()
    await engine.start()
    result = await running

    assert "NOT_FOUND" in result.lost


async def test_an_engine_that_does_not_come_back_loses_the_run(engine: FakeEngine, runs: Runs) -> None:
    executor = ReapiExecutor(engine.uri, ExecutorOptions(), Limits(reconnect=0.05, first_pause=0.01))
    engine.holds = True
    running = asyncio.create_task(executor.run(runs.shell("true")))
    await until(lambda: engine.operations)

    await engine.stop()
    result = await running
    await executor.close()

    assert "UNAVAILABLE" in result.lost


async def test_an_engine_that_cannot_be_reached_before_a_run_loses_it(engine: FakeEngine, runs: Runs) -> None:
    executor = ReapiExecutor(engine.uri, ExecutorOptions(), Limits(reconnect=0.05, first_pause=0.01))
    await executor.connect()
    await engine.stop()

    result = await executor.run(runs.shell("true"))
    await executor.close()

    assert "UNAVAILABLE" in result.lost


async def test_a_process_that_the_engine_runs_twice_has_one_end(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.runs_twice = True

    result = await executor.run(runs.shell("true"))

    assert (result.exit_code, runs.stdout.read_text()) == (0, "ran\n")


REFUSING = [
    (grpc.StatusCode.INVALID_ARGUMENT, "unknown platform property"),
    (grpc.StatusCode.FAILED_PRECONDITION, "no such platform"),
    (grpc.StatusCode.PERMISSION_DENIED, "not you"),
]


@pytest.mark.parametrize(("code", "text"), REFUSING)
async def test_what_no_machine_takes_is_refused_at_once(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs, code: grpc.StatusCode, text: str
) -> None:
    engine.faults = {"Execute": [(code, text)]}

    refused_request = await executor.run(runs.shell("true"))
    engine.run = failed(code, text)
    refused_action = await executor.run(runs.shell("true"))

    assert text in refused_request.refused
    assert text in refused_action.refused


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED, grpc.StatusCode.RESOURCE_EXHAUSTED]
)
async def test_an_end_that_the_engine_cannot_explain_is_a_loss(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs, code: grpc.StatusCode
) -> None:
    engine.run = failed(code, "the worker is gone")

    result = await executor.run(runs.shell("true"))

    assert f"{code.name}: the worker is gone" in result.lost
    assert len(engine.operations) == 1


async def test_a_request_that_always_fails_is_given_up(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    engine.faults = {"Execute": [(grpc.StatusCode.INTERNAL, "a bug")] * 100}

    result = await executor.run(runs.shell("true"))

    assert "INTERNAL: a bug" in result.lost
    assert len(engine.faults["Execute"]) > 90


async def test_a_timeout_of_the_engine_is_told(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    engine.run = failed(grpc.StatusCode.DEADLINE_EXCEEDED, "too long")

    result = await executor.run(runs.shell("true", timeout_seconds=7))

    assert result.timed_out
    assert result.exit_code == -9
    assert not runs.stderr.exists()


async def test_a_limit_of_the_engine_is_explained_in_the_log(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.run = failed(grpc.StatusCode.DEADLINE_EXCEEDED, "at most an hour")

    result = await executor.run(runs.shell("true"))

    assert result.timed_out
    assert "at most an hour" in runs.stderr.read_text()


async def test_a_process_that_the_engine_does_not_end_in_time_is_ended(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.runs_forever = True

    result = await executor.run(runs.shell("true", timeout_seconds=0.01))

    (operation,) = engine.operations.values()
    assert result.timed_out
    assert operation.response is not None


async def test_output_of_a_process_that_had_to_be_ended_is_delivered(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.runs_forever = True
    engine.output_of_cancelled = b"so far\n"

    result = await executor.run(runs.shell("true", timeout_seconds=0.01))

    assert (result.timed_out, runs.stdout.read_bytes()) == (True, b"so far\n")


async def test_the_time_in_the_queue_does_not_count(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    engine.holds = True
    running = asyncio.create_task(executor.run(runs.shell("true", timeout_seconds=0.001)))
    await until(lambda: engine.operations)
    await asyncio.sleep(0.05)
    engine.start_all()

    assert not (await running).timed_out


async def test_a_cancellation_that_is_not_confirmed_is_told(engine: FakeEngine, runs: Runs) -> None:
    executor = ReapiExecutor(engine.uri, ExecutorOptions(), Limits(cancel=0.05))
    engine.runs_forever = True
    engine.cancels = False
    running = asyncio.create_task(executor.run(runs.shell("true")))
    await until(lambda: engine.operations)

    running.cancel()
    with pytest.raises(UnconfirmedCancellationError):
        await running
    await executor.close()


async def test_a_cancellation_that_the_engine_does_not_know_is_not_confirmed(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.runs_forever = True
    placements: list[Placement] = []
    running = asyncio.create_task(executor.run(runs.shell("true"), None, placements.append))
    await until(lambda: placements)
    engine.operations.clear()

    running.cancel()
    with pytest.raises(UnconfirmedCancellationError):
        await running


async def test_a_run_that_is_cancelled_before_it_has_a_name_is_ended(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.runs_forever = True
    running = asyncio.create_task(executor.run(runs.shell("true")))
    while not engine.operations:
        await asyncio.sleep(0)

    running.cancel()
    running.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await running

    (operation,) = engine.operations.values()
    assert not isinstance(cancelled.value, UnconfirmedCancellationError)
    assert operation.response is not None


async def test_a_cancellation_survives_an_outage(engine: FakeEngine, executor: ReapiExecutor, runs: Runs) -> None:
    engine.runs_forever = True
    running = asyncio.create_task(executor.run(runs.shell("true")))
    await until(lambda: engine.operations)
    engine.faults = {"CancelOperation": [UNAVAILABLE] * 3, "WaitExecution": [UNAVAILABLE] * 3}

    running.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await running

    assert not isinstance(cancelled.value, UnconfirmedCancellationError)


async def test_inputs_that_the_engine_loses_are_sent_again(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    code = runs.code({"job": "#!/bin/sh\n", "data": "x"})
    spec = runs.spec(f"{code.root}/_main/job", code=code)
    assert (await executor.run(spec)).exit_code == 0
    for name, content in list(engine.blobs.items()):
        if content:
            del engine.blobs[name]

    result = await executor.run(spec._replace(run_id="second"))

    assert (result.exit_code, result.lost, result.refused) == (0, "", "")
    assert [operation.salt for operation in engine.operations.values()][1:] == ["second"]


@pytest.mark.parametrize("code", [grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND])
async def test_inputs_that_are_missing_on_the_machine_are_sent_again(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs, code: grpc.StatusCode
) -> None:
    def lose_first(operation: FakeOperation) -> api.ExecuteResponse:
        if len(engine.operations) > 1:
            return api.ExecuteResponse()
        missing = missing_blobs(operation.action.command_digest)
        status = missing if code is grpc.StatusCode.FAILED_PRECONDITION else api.Status(code=code.value[0])
        return api.ExecuteResponse(status=status)

    engine.run = lose_first
    placements: list[Placement] = []

    result = await executor.run(runs.shell("true"), None, placements.append)

    assert (result.exit_code, result.lost, result.refused) == (0, "", "")
    handles = [json.loads(placement.handle)["operation"] for placement in placements if placement.handle]
    assert handles == list(engine.operations)


async def test_an_engine_that_loses_inputs_again_and_again_loses_the_run(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.run = lambda operation: api.ExecuteResponse(status=missing_blobs(operation.action.command_digest))

    result = await executor.run(runs.shell("true"))

    assert "lost inputs of the process 5 times" in result.lost


async def test_a_report_that_the_engine_has_lost_is_a_loss(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    gone = api.Digest(hash="0" * 64, size_bytes=5)
    engine.run = lambda operation: api.ExecuteResponse(
        result=api.ActionResult(output_files=[api.OutputFile(path="databuild.report", digest=gone)])
    )

    result = await executor.run(runs.reporting("true"), lambda line: None)

    assert "its report cannot be read" in result.lost


async def test_output_that_the_engine_has_lost_is_told_in_the_log(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    gone = api.Digest(hash="0" * 64, size_bytes=5)
    engine.run = lambda operation: api.ExecuteResponse(result=api.ActionResult(exit_code=4, stdout_digest=gone))

    result = await executor.run(runs.shell("true"))

    assert (result.exit_code, result.lost) == (4, "")
    assert "cannot be read from the engine: NOT_FOUND" in runs.stdout.read_text()


async def test_closing_loses_runs_and_leaves_them_running(engine: FakeEngine, runs: Runs) -> None:
    executor = ReapiExecutor(engine.uri, ExecutorOptions(), Limits())
    engine.runs_forever = True
    placements: list[Placement] = []
    running = asyncio.create_task(executor.run(runs.shell("true"), None, placements.append))
    await until(lambda: placements)

    await executor.close()
    result = await running

    (operation,) = engine.operations.values()
    assert "closed" in result.lost
    assert operation.response is None


async def test_many_runs_in_flight_need_no_threads_and_can_be_cancelled(
    engine: FakeEngine, executor: ReapiExecutor, runs: Runs
) -> None:
    engine.holds = True
    tasks = [asyncio.create_task(executor.run(runs.shell("true", stdout=""))) for _ in range(350)]
    await until(lambda: len(engine.operations) == 350)

    assert threading.active_count() < 20
    for task in tasks[:100]:
        task.cancel()
    cancelled = await asyncio.gather(*tasks[:100], return_exceptions=True)
    engine.start_all()
    results = await asyncio.gather(*tasks[100:])

    assert {type(end) for end in cancelled} == {asyncio.CancelledError}
    assert {(result.exit_code, result.stdout) for result in results} == {(0, b"ran\n")}


async def test_text_that_is_not_unicode_is_a_fault_of_the_command(executor: ReapiExecutor) -> None:
    assert "is not UTF-8" in executor.command_fault(["/bin/true"], {"A": "\udcff"})
    assert executor.command_fault(["/bin/true"], {"A": "größer"}) == ""


async def test_a_program_that_is_not_there_cannot_be_started(executor: ReapiExecutor, runs: Runs) -> None:
    code = runs.code({"job": "#!/bin/sh\n"})
    (runs.folder / "program.runfiles/_main/job").unlink()

    result = await executor.run(runs.spec(f"{code.root}/_main/job", code=code))

    assert result.start_fault is not None
    assert "build the graph again with Bazel" in result.start_fault.message
