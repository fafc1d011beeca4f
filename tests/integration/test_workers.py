"""Real workers: their output, the state between requests, their ends, and what they leave."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from databuild.executors.executor import ProcessResult
from tests.support.executors import long_sleep, sleeping
from tests.support.waiting import until
from tests.support.worker_programs import Served, has_ended, processes_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(tmp_path)
    yield served
    await served.executor.close()


async def test_one_worker_serves_many_requests(served: Served) -> None:
    results = [await served.run(name) for name in ("one", "two", "three")]

    assert [result.exit_code for result in results] == [0, 0, 0]
    assert [result.worker_request for result in results] == [1, 2, 3]
    assert len({result.worker_id for result in results}) == 1
    assert [served.out(number) for number in (1, 2, 3)] == ["served one\n", "served two\n", "served three\n"]


async def test_a_worker_configures_and_runs(served: Served) -> None:
    configured = await served.run("a/1", "a/2", configure=True)
    ran = await served.run("one")

    assert configured.configured is not None
    assert [config.outputs[0].str for config in configured.configured.configs] == ["a/1", "a/2"]
    assert (configured.stdout, configured.stderr) == (b"", b"configuring\n")
    assert (configured.worker_id, ran.worker_request) == (ran.worker_id, 2)


async def test_requests_at_once_have_workers_of_their_own(served: Served) -> None:
    both = await asyncio.gather(served.run("one"), served.run("two"))

    assert len({result.worker_id for result in both}) == 2


async def test_another_environment_code_or_folder_has_another_worker(served: Served, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    ids = {
        (await served.run("one")).worker_id,
        (await served.run("one", code_digest="2")).worker_id,
        (await served.run("one", env={"START": "2"})).worker_id,
        (await served.executor.run(served.spec("one")._replace(cwd=str(tmp_path / "elsewhere")))).worker_id,
    }

    assert len(ids) == 4


async def test_output_of_the_job_and_of_its_children_is_that_of_the_request(served: Served) -> None:
    code = "print('printed'); os.write(1, b'written\\n'); os.write(2, b'error\\n'); subprocess.run(['echo', 'child'])"
    await served.execute(f"{code}; sys.stdout.flush()")
    await served.run("next")

    assert sorted(served.out(1).split()) == ["child", "code", "printed", "served", "written"]
    assert served.out(1, "stderr") == "error\n"
    assert served.out(2) == "served next\n"


async def test_output_of_c_libraries_is_that_of_the_request(served: Served) -> None:
    await served.execute("import ctypes; ctypes.PyDLL(None).puts(b'from C')")
    await served.run("next")

    assert "from C" in served.out(1)
    assert "from C" not in served.out(2)


async def test_output_can_be_read_while_the_request_is_served(served: Served) -> None:
    await served.run("first")
    running = asyncio.create_task(served.execute("while not os.path.exists('go'): time.sleep(0.01)"))
    await until(lambda: served.out(2))
    still_running = not running.done()
    (served.folder / "go").touch()

    assert (await running).exit_code == 0
    assert still_running


async def test_what_is_printed_between_requests_goes_nowhere(served: Served) -> None:
    for number in (1, 2):
        path = served.folder / f"go {number}"
        await served.execute(f"later({str(path)!r}, 'between')")
        path.touch()
        await until((served.folder / f"go {number}.written").exists)
    await served.run("next")

    assert [served.out(number) for number in (1, 2, 3)] == ["served code\n", "served code\n", "served next\n"]


async def test_a_large_request_and_large_output_pass(served: Served) -> None:
    await served.run("first")
    text = "x" * 2_000_000
    result = await served.run("code", f"os.write(1, run.args[1].encode()) #{text}")

    assert result.exit_code == 0
    assert len(served.out()) >= 65536


async def test_children_end_with_their_request(served: Served) -> None:
    seconds, other = long_sleep(), long_sleep()
    code = f"subprocess.Popen(['sh', '-c', 'sleep {seconds}; true'])"
    detached = f"subprocess.Popen(['sleep', '{other}'], start_new_session=True)"
    await served.execute(f"{code}; {detached}")

    assert not sleeping(seconds)
    assert not sleeping(other)
    assert (await served.run("next")).worker_request == 2


async def test_children_that_were_started_before_the_first_request_live_as_long_as_the_worker(tmp_path: Path) -> None:
    seconds = long_sleep()
    served = Served(tmp_path, at_start=f"subprocess.Popen(['sleep', '{seconds}'])")
    await served.run("one")
    await served.run("two")
    lives = sleeping(seconds)

    await served.executor.close()

    assert lives
    assert not sleeping(seconds)


async def test_the_state_of_the_process_is_restored(served: Served) -> None:
    change = (
        "os.chdir('/'); os.environ['LEAK'] = '1'; del os.environ['START']; os.umask(0o777); "
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.alarm(1000); "
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1}); sys.stdout = None; "
        "writing('half').__enter__(); open('/proc/self/comm')"
    )
    show = (
        "print(os.getcwd(), os.environ.get('LEAK'), os.environ['START'], os.umask(0), "
        "signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, signal.alarm(0), "
        "signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    )
    await served.execute(show)
    before = served.out()
    await served.execute(change)
    result = await served.execute(show)

    assert served.out() == before
    assert result.worker_request == 3
    assert not list(served.folder.glob(".*.partial.*"))


async def test_a_child_that_returns_does_not_become_a_second_worker(served: Served) -> None:
    result = await served.execute("if not os.fork(): raise SystemExit(0)")

    assert (result.exit_code, result.worker_fault) == (0, None)
    assert (await served.run("next")).worker_fault is None


async def test_failures_of_the_job_are_those_of_a_process(served: Served) -> None:
    raised = await served.execute("raise ValueError('no such day')")
    stopped = await served.execute("sys.exit(7)")
    said = await served.execute("sys.exit('not today')")

    assert [result.exit_code for result in (raised, stopped, said)] == [1, 7, 1]
    assert served.out(1, "stderr").splitlines()[-1] == "ValueError: no such day"
    assert served.out(3, "stderr") == "not today\n"
    assert said.worker_request == 3


async def test_reports_arrive(served: Served) -> None:
    lines: list[bytes] = []
    result = await served.executor.run(served.spec("code", "run.metric('rows', 7)"), lines.append)

    assert result.exit_code == 0
    assert [b'"rows"' in line for line in lines] == [True]


async def test_a_signal_ends_the_request_and_the_worker_is_replaced(served: Served) -> None:
    first = await served.run("one")
    killed = await served.execute("os.kill(os.getpid(), signal.SIGKILL)")
    after = await served.run("two")

    assert (killed.exit_code, killed.worker_id, killed.worker_fault) == (-signal.SIGKILL, first.worker_id, None)
    assert (after.exit_code, after.worker_request) == (0, 1)


async def test_an_exit_without_an_answer_is_a_fault_of_the_infrastructure(served: Served) -> None:
    result = await served.execute("os.write(1, b'last words\\n'); os._exit(3)")

    assert result.worker_fault is not None
    assert (result.exit_code, result.worker_fault.users_fault) == (3, False)
    assert "exit code 3 before it answered" in result.worker_fault.message
    assert served.out() == "served code\nlast words\n"


async def test_a_timeout_ends_the_worker_and_its_children(served: Served) -> None:
    seconds = long_sleep()
    first = await served.run("one")
    spec = served.spec("code", f"subprocess.run(['sleep', '{seconds}'])")

    result = await served.executor.run(spec._replace(timeout_seconds=0.5))

    assert result.timed_out
    assert result.exit_code < 0
    assert not sleeping(seconds)
    assert not processes_of(first.worker_id)
    assert (await served.run("next")).exit_code == 0


async def test_a_cancellation_ends_only_the_worker_of_the_request(served: Served) -> None:
    seconds = long_sleep()
    hanging = asyncio.create_task(served.execute(f"subprocess.run(['sleep', '{seconds}'])"))
    await until(lambda: sleeping(seconds))
    other = asyncio.create_task(served.execute("while not os.path.exists('go'): time.sleep(0.01)"))
    await until(served.out)

    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    gone = not sleeping(seconds)
    (served.folder / "go").touch()

    assert (await other).exit_code == 0
    assert gone


async def test_a_worker_that_ends_while_it_is_idle_is_replaced(served: Served) -> None:
    first = await served.run("one")
    pids = processes_of(first.worker_id)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: all(has_ended(pid) for pid in pids))

    assert (await served.run("two")).exit_code == 0


async def test_a_worker_is_replaced_after_its_requests_or_over_its_memory(served: Served) -> None:
    by_requests = [await served.run("one", max_requests=2) for _ in range(3)]
    by_memory = [await served.run("one", max_memory_bytes=1, code_digest="2") for _ in range(2)]

    assert [result.worker_request for result in by_requests] == [1, 2, 1]
    assert [result.worker_request for result in by_memory] == [1, 1]


async def test_config_counts_for_the_memory_of_a_worker_as_well(served: Served) -> None:
    asked = [await served.run("a/1", configure=True, max_memory_bytes=1) for _ in range(2)]

    assert [result.worker_request for result in asked] == [1, 1]


async def test_idle_workers_give_way(served: Served) -> None:
    first = await served.run("one", code_digest="1")
    second = await served.run("one", code_digest="2")
    third = await served.run("one", code_digest="3")  # two processes at most, and this is the third
    await until(lambda: not processes_of(first.worker_id))

    assert processes_of(second.worker_id)
    assert processes_of(third.worker_id)


async def test_close_ends_all_workers(served: Served) -> None:
    result = await served.run("one")

    await served.executor.close()

    assert not processes_of(result.worker_id)


async def test_processor_time_and_memory_are_those_of_the_request(served: Served) -> None:
    await served.run("one")
    busy = await served.execute(
        "x = bytearray(200_000_000); t = time.process_time() + 0.3\nwhile time.process_time() < t: pass"
    )
    idle = await served.run("next")

    assert busy.cpu_seconds >= 0.3
    assert busy.peak_memory_bytes > 200_000_000
    assert idle.cpu_seconds < busy.cpu_seconds
    assert idle.peak_memory_bytes < 200_000_000


async def test_a_path_that_is_not_unicode_is_run_as_a_process(served: Served) -> None:
    spec = served.spec("one")
    result: ProcessResult = await served.executor.run(spec._replace(env={**spec.env, "NAME": "\udcff"}))

    assert (result.exit_code, result.worker_id) == (0, "")
