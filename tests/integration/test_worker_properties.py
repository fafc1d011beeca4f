"""Any sequence of requests, crashes, timeouts and cancellations: each request has one end, and no process is left."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databuild.executors.executor import ProcessResult
from tests.support.executors import sleeping
from tests.support.worker_programs import Served, processes_of

_SLEEP = "subprocess.run(['sleep', '1000.25'])"
STEPS = {
    "serve": "pass",
    "fail": "raise ValueError('no')",
    "exit": "os._exit(3)",
    "kill": "os.kill(os.getpid(), 9)",
    "stop answering": "os.close(4); time.sleep(1000)",
    "answer twice": "os.write(4, bytes([4, 8, 1, 26, 0] * 2))",
    "leave a child": "subprocess.Popen(['sleep', '1000.25'])",
    "leave a detached child": "subprocess.Popen(['sleep', '1000.25'], start_new_session=True)",
    "time out": _SLEEP,
    "cancel": _SLEEP,
    "idle death": "later_death()",
}

step = st.tuples(st.sampled_from(sorted(STEPS)), st.sampled_from(["1", "2"]), st.sampled_from([0, 2]))


@settings(deadline=None, max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(step, min_size=1, max_size=3), min_size=1, max_size=4))
def test_each_request_has_one_end_and_no_process_is_left(rounds: list[list[tuple[str, str, int]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_play(Path(folder), rounds))


async def _play(folder: Path, rounds: Sequence[Sequence[tuple[str, str, int]]]) -> None:
    served = Served(folder, grace_seconds=0.2)
    ids: set[str] = set()
    for together in rounds:  # the requests of a round are served at once
        ends = await asyncio.gather(*(_request(served, *one) for one in together))
        for (name, _, _), end in zip(together, ends, strict=True):
            _check_end(name, end)
            if end is not None:
                ids.add(end.worker_id)
    await served.executor.close()

    assert not sleeping("1000.25")
    for worker in ids:
        assert not processes_of(worker)


async def _request(served: Served, name: str, digest: str, max_requests: int) -> ProcessResult | None:
    """Serves one request, and returns its end; None if it was cancelled."""
    code = STEPS[name].replace(
        "later_death()", "__import__('threading').Timer(0.01, os.kill, (os.getpid(), 9)).start()"
    )
    spec = served.spec("code", code, code_digest=digest, max_requests=max_requests)
    if name == "time out":
        spec = spec._replace(timeout_seconds=0.3)
    running = asyncio.ensure_future(served.executor.run(spec))
    if name == "cancel":
        await asyncio.sleep(0.05)  # at any stage of the start
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return None
    return await running


def _check_end(name: str, end: ProcessResult | None) -> None:
    if end is None:
        assert name == "cancel"
        return
    # A worker that dies while it is idle may just have got the next request.
    died = end.exit_code == -9 and end.worker_fault is None
    assert end.start_fault is None
    if name in {"serve", "leave a child", "leave a detached child", "idle death"}:
        assert end.exit_code == 0 or died
    elif name == "fail":
        assert end.exit_code == 1 or died
    elif name == "time out":
        assert end.timed_out or died
    elif name == "kill":
        assert died
    else:
        assert end.worker_fault is not None or died
