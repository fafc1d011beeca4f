"""Programs that break the protocol of workers: each fails its request with a message that shows what came."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from databuild.executors.descriptor_limit import DescriptorLimit
from databuild.executors.executor import ProcessResult
from databuild.executors.output import TailBuffer
from databuild.executors.starter import Starter
from databuild.executors.workers.worker import Answer, Worker
from databuild.v1 import job_pb2
from tests.support.waiting import until
from tests.support.worker_programs import Served, processes_of, python_worker

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(tmp_path)
    yield served
    await served.executor.close()


FAULTS = {
    "exits at once": ("sys.exit(2)", "ended with exit code 2 before it was ready for requests", True),
    "no hello": ("answer(1)", r"sent request_id: 1 execute \{ \} before its hello", True),
    "other version": ("hello(9)", "speaks version 9 of the worker protocol; this DataBuild speaks version 1", True),
    "text": (r"os.write(4, b'\xff\xff\xff\xff\xff')", r"sent b'\\xff.*which does not begin with the length", True),
    "no message": (r"hello(); request(); send(b'\x07\x07')", r"sent b'\\x07\\x07', which is not a JobResponse", True),
    "closed": ("hello(); request(); os.close(4); time.sleep(1000)", r"closed its responses \(descriptor 4\)", True),
    "other request": ("hello(); request(); answer(7)", "answered request 7, but was asked request 1", True),
    "twice": ("hello(); request(); os.write(4, bytes([4, 8, 1, 26, 0] * 2)); request()", "answered twice", True),
    "other kind": (r"hello(); request(); send(bytes([8, 1, 18, 0]))", "answered a request to execute with", True),
    "exits": ("hello(); request(); sys.exit(0)", "its worker ended with exit code 0 before it answered", False),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_fails_the_request_with_what_came(served: Served, name: str) -> None:
    body, message, users_fault = FAULTS[name]
    python_worker(served.program, body)

    result = await served.run("one")

    assert result.worker_fault is not None
    assert re.search(message, result.worker_fault.message), result.worker_fault.message
    assert ("docs/workers.md" in result.worker_fault.message) == users_fault
    assert result.worker_fault.users_fault == users_fault
    assert not processes_of(result.worker_id)


async def test_a_second_answer_that_comes_late_ends_the_idle_worker(served: Served) -> None:
    python_worker(served.program, "hello(); request(); answer(1); time.sleep(0.1); answer(1)\nwhile request(): pass")
    first = await served.run("one")
    python_worker(served.program, "hello(); request(); answer(1)\nwhile request(): pass")
    await until(lambda: not processes_of(first.worker_id))

    assert first.worker_fault is None
    assert (await served.run("two")).worker_fault is None


async def test_the_failure_of_a_worker_is_that_of_its_request(served: Served) -> None:
    python_worker(
        served.program, "hello(); request(); m = b'no disk'; send(bytes([8, 1, 34, 4 + len(m), 8, 1, 18, len(m)]) + m)"
    )

    result = await served.run("one")

    assert result.worker_fault is not None
    assert (result.worker_fault.message, result.worker_fault.users_fault) == ("no disk", True)


async def test_what_a_program_prints_before_it_fails_to_start_is_in_the_log(served: Served) -> None:
    python_worker(served.program, "import no_such_module")

    result = await served.run("one")

    assert "ended with exit code 1 before it was ready" in _message(result)
    assert "No module named 'no_such_module'" in served.out(1, "stderr")


async def test_a_missing_program_is_a_failed_start(served: Served) -> None:
    served.program.unlink()

    result = await served.run("one")

    assert result.start_fault is not None
    assert str(served.program) in result.start_fault.message


async def test_a_program_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    answer = await _serve(tmp_path, "time.sleep(1000)", hello_seconds=0.1)

    assert answer.fault is not None
    assert "was not ready for requests within 0.1 seconds" in answer.fault.message


async def test_a_message_that_is_never_complete_is_given_up(tmp_path: Path) -> None:
    answer = await _serve(tmp_path, "hello(); request(); os.write(4, b'OK\\n'); time.sleep(1000)", stall_seconds=0.1)

    assert answer.fault is not None
    assert r"sent b'OK\n' and nothing more for 0.1 seconds" in answer.fault.message


async def _serve(folder: Path, body: str, *, hello_seconds: float = 60.0, stall_seconds: float = 60.0) -> Answer:
    """Lets a worker of its own serve one request."""
    python_worker(folder / "program", body)
    worker = Worker("w-1", grace_seconds=lambda: 5.0, hello_seconds=hello_seconds, stall_seconds=stall_seconds)
    out, err = TailBuffer(1000), TailBuffer(1000)
    starter = Starter({}, DescriptorLimit(), 1.0)
    await worker.start(starter, str(folder / "program"), {}, str(folder), out, err)
    return await worker.serve(job_pb2.JobRequest(execute=job_pb2.JobExecuteRequest()), out, err, None)


def _message(result: ProcessResult) -> str:
    assert result.worker_fault is not None
    return result.worker_fault.message
