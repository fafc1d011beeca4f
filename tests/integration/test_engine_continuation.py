"""Builds on real engines whose orchestrators are killed: the next process drives the same build to its end."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from databuild.event_log.open import open_reader
from databuild.event_log.verify import verify
from databuild.v1 import events_pb2 as ev
from tests.engines.casd import Casd
from tests.engines.cluster import Cluster
from tests.support.script_graph import ScriptGraph
from tests.support.waiting import wait_until

ENGINES = ("dask", "reapi")


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    cluster = Cluster()
    casd = Casd(mounts=[str(tmp_path_factory.getbasetemp())])
    yield {"dask": cluster.uri, "reapi": casd.uri}
    casd.close()
    cluster.close()


class Killed:
    """A build of `sum/wait-1_two` whose orchestrator was killed while `number/wait-1` was being made."""

    def __init__(self, folder: Path, executor: str) -> None:
        self.graph = ScriptGraph(folder)
        self.executor = executor
        self.uri = f"sqlite:{folder}/events.db"
        self.flags = (f"--event_log={self.uri}", f"--executor={executor}")
        process = self.graph.start("build", "sum/wait-1_two", "--build_request_id=first", *self.flags)
        self.graph.wait_for("waiting-wait-1")
        wait_until(lambda: any(event.placement.handle for event in self.events("first")))
        process.send_signal(signal.SIGKILL)
        process.wait()

    def events(self, build: str) -> Sequence[ev.BuildEvent]:
        with contextlib.closing(open_reader(self.uri)) as reader:
            return reader.events(build)

    def go_on(self) -> None:
        (self.graph.folder / "go-wait-1").touch()

    def check(self) -> None:
        """Checks that each job run of the build was started once, and that it has completed."""
        events = self.events("first")
        assert events[-1].build_request.status == ev.BUILD_STATUS_COMPLETED
        handles = [event.placement.job_run_id for event in events if event.placement.handle]
        assert len(handles) == len(set(handles)) == 3
        log = (self.graph.folder / f".databuild/numbers/graph/logs/first/{handles[0]}.stdout").read_text()
        assert log.count("making") == 1
        assert (self.graph.folder / "data/sum-wait-1_two").read_text() == "9\n"
        with contextlib.closing(open_reader(self.uri)) as reader:
            assert verify(reader).reported == ()


@pytest.fixture
def killed(engines: Mapping[str, str], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Killed]:
    build = Killed(tmp_path, engines[request.param])
    yield build
    build.go_on()
    build.graph.close()


@pytest.mark.parametrize("killed", ENGINES, indirect=True)
def test_another_build_continues_it(killed: Killed) -> None:
    other = killed.graph.start("build", "number/three", "--build_request_id=second", *killed.flags)
    wait_until(lambda: killed.events("second") and killed.events("second")[-1].build_request.status == 5)
    killed.go_on()
    _, err = other.communicate(timeout=60)

    assert other.returncode == 0, err
    assert "continuing build first, whose orchestrator has died" in err
    killed.check()


@pytest.mark.parametrize("killed", ENGINES, indirect=True)
def test_a_retry_continues_it_and_waits_for_its_partitions(killed: Killed) -> None:
    retry = killed.graph.start("retry", "first", "--build_request_id=second", *killed.flags)
    wait_until(lambda: any(event.delegation.running for event in killed.events("second")))
    killed.go_on()
    _, err = retry.communicate(timeout=60)

    assert retry.returncode == 0, err
    killed.check()


@pytest.mark.parametrize("killed", ENGINES, indirect=True)
def test_a_service_continues_it_when_it_starts(killed: Killed) -> None:
    service = killed.graph.serve(*killed.flags)
    killed.go_on()

    service.wait_for("first", "COMPLETED")

    killed.check()
    assert service.end()[0] == 0


@pytest.mark.parametrize("killed", ENGINES, indirect=True)
def test_a_service_that_leaves_its_builds_leaves_them_to_the_next(killed: Killed) -> None:
    service = killed.graph.serve(*killed.flags, "--on_shutdown=leave", "--drain_seconds=0")
    service.wait_for("first", "EXECUTING")
    wait_until(lambda: any(event.placement.started for event in killed.events("first")))
    assert service.end()[0] == 0
    assert killed.events("first")[-1].build_request.status == 0

    following = killed.graph.serve(*killed.flags)
    killed.go_on()
    following.wait_for("first", "COMPLETED")

    killed.check()


@pytest.mark.parametrize("killed", ENGINES, indirect=True)
def test_until_then_status_and_explain_say_so(killed: Killed) -> None:
    flag = f"--event_log={killed.uri}"
    fate = f"its orchestrator has died; the next build on {killed.executor} with the same code continues it, any other"

    for command in (("status", "first"), ("explain", "number/wait-1")):
        code, out, err = killed.graph.run(*command, flag)

        assert code == 0, err
        assert fate in out


@pytest.mark.parametrize("killed", ENGINES, indirect=True)
def test_a_build_that_does_not_use_the_engine_ends_it(killed: Killed) -> None:
    code, _, err = killed.graph.run("build", "number/three", f"--event_log={killed.uri}")

    assert code == 0, err
    assert killed.events("first")[-1].build_request.status == ev.BUILD_STATUS_FAILED


@pytest.mark.parametrize("killed", ENGINES, indirect=True)
def test_a_request_to_cancel_it_reaches_the_engine(killed: Killed) -> None:
    code, _, err = killed.graph.run("cancel", "first", f"--event_log={killed.uri}")
    assert code == 0, err

    code, _, err = killed.graph.run("build", "number/three", *killed.flags)

    assert code == 0, err
    assert killed.events("first")[-1].build_request.status == ev.BUILD_STATUS_CANCELLED
    (failure,) = {e.job.failure.message for e in killed.events("first") if e.job.status == ev.JOB_STATUS_CANCELLED}
    assert failure == "stopped: the build was cancelled"
