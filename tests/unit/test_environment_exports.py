"""The exporters of a service for environments: those in use, and what was left of the others."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from databuild.errors import EventLogError
from databuild.event_log.log import EventLog
from databuild.event_log.open import EnvironmentLogs
from databuild.exporters.environment_exports import EnvironmentExports
from databuild.exporters.exporter import Exporter
from databuild.v1 import events_pb2 as ev
from tests.support.fake_exporter import FakeExporter
from tests.support.fake_liveness import FakeLiveness
from tests.support.waiting import wait_until


class World:
    """Environments in a folder, and the exporters that were opened for them.

    Attributes:
        logs: The logs of the environments.
        exporters: All exporters, by environment.
        said: The warnings.
        fault: The reason why the receiver takes nothing; empty if it does.
    """

    def __init__(self, folder: Path) -> None:
        self.logs = EnvironmentLogs(f"sqlite:{folder}/events.db")
        self.exporters: dict[str, list[FakeExporter]] = {}
        self.said: list[str] = []
        self.fault = ""
        self.exports = EnvironmentExports(
            self.logs,
            self.open_exporters,
            seconds=0.01,
            warn=self.said.append,
            liveness=FakeLiveness(),
            turn_seconds=0.0,
            round_seconds=0.01,
        )

    def open_exporters(self, environment: str) -> list[Exporter]:
        exporter = FakeExporter()
        exporter.fault = self.fault
        self.exporters.setdefault(environment, []).append(exporter)
        return [exporter]

    def sent(self, environment: str) -> list[str]:
        return [event for exporter in self.exporters.get(environment, ()) for event in exporter.sent]

    async def write(self, environment: str, *builds: str, first_use: bool = False) -> list[str]:
        """Writes the first event of builds beside the service, and returns the ids of the events."""
        log = self.logs.open(environment)
        if first_use:
            cursors = log.cursors()
            cursors.take("fake:", "another process", 0.0)
            cursors.close()
        ids = [await received(log, build) for build in builds]
        await log.close()
        return ids


async def received(log: EventLog, build: str) -> str:
    event = ev.BuildEvent(event_id=f"{build}/1", build_request_id=build, sequence=1)
    event.build_request.status = ev.BUILD_STATUS_RECEIVED
    await log.append([event])
    return event.event_id


async def test_an_environment_is_followed_while_it_is_in_use(tmp_path: Path) -> None:
    world = World(tmp_path)
    log = world.logs.open("pr-1")
    world.exports.begin("pr-1", log)
    first = await received(log, "b1")
    wait_until(lambda: world.sent("pr-1") == [first])
    last = await received(log, "b2")
    world.exports.end("pr-1")
    await log.close()
    (exporter,) = world.exporters["pr-1"]
    wait_until(lambda: exporter.closed)
    assert world.sent("pr-1") == [first, last]
    await world.write("pr-1", "b3")
    assert world.sent("pr-1") == [first, last]
    assert list(world.exports.leave()) != []


async def test_what_was_left_of_all_environments_is_sent_at_the_start(tmp_path: Path) -> None:
    world = World(tmp_path)
    left = {name: await world.write(name, "b1", "b2", first_use=True) for name in ("pr-1", "pr-2")}
    used = world.logs.open("used")
    world.exports.begin("used", used)
    world.exports.catch_up()
    wait_until(lambda: {name: world.sent(name) for name in left} == left)
    for name in left:
        (exporter,) = world.exporters[name]
        wait_until(lambda one=exporter: one.closed)  # type: ignore[misc]
    assert len(world.exporters["used"]) == 1
    assert world.said == []
    for exports in world.exports.leave():
        assert exports.stop(30.0)
    await used.close()


async def test_a_receiver_that_is_away_gets_what_is_left_of_an_ended_environment_later(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.fault = "it does not answer"
    log = world.logs.open("pr-1")
    world.exports.begin("pr-1", log)
    event = await received(log, "b1")
    wait_until(lambda: bool(world.said))
    world.exports.end("pr-1")
    await log.close()
    (exporter,) = world.exporters["pr-1"]
    assert not exporter.closed
    exporter.fault = ""
    wait_until(lambda: exporter.closed)
    assert exporter.sent == [event]
    assert world.said == [
        "environment pr-1: events could not be sent to fake:: it does not answer; they will be sent later"
    ]


async def test_environments_whose_receiver_is_away_have_turns_until_it_is_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    left = {name: await world.write(name, "b1", first_use=True) for name in ("pr-1", "pr-2", "pr-3")}
    world.fault = "it does not answer"
    world.exports.catch_up()
    wait_until(lambda: len(world.exporters.get("pr-3", ())) >= 3)
    world.fault = ""
    wait_until(lambda: {name: world.sent(name) for name in left} == left)
    # The exporters of earlier turns have ended, and each fault is told once.
    wait_until(lambda: all(one.closed for exporters in world.exporters.values() for one in exporters))
    assert len(world.said) == len(set(world.said))


async def test_the_removal_of_an_environment_waits_for_a_receiver_by_the_limit_only(tmp_path: Path) -> None:
    world = World(tmp_path)
    log = world.logs.open("pr-1")
    world.exports.begin("pr-1", log)
    (exporter,) = world.exporters["pr-1"]
    exporter.gate.clear()
    await received(log, "b1")
    world.exports.remove("pr-1")
    assert "environment pr-1: not all events were sent to fake: within 0.01 s" in world.said[0]
    assert list(world.exports.leave()) == []
    exporter.gate.set()
    wait_until(lambda: exporter.closed)
    await log.close()


async def test_an_environment_that_was_removed_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    for name in ("pr-1", "pr-2", "pr-3"):
        await world.write(name, "b1", first_use=True)
    removed = threading.Event()

    class Logs(EnvironmentLogs):
        def open(self, environment: str) -> EventLog:
            if environment == "pr-1":
                self.remove("pr-2")
                removed.set()
            return super().open(environment)

    exports = EnvironmentExports(
        Logs(f"sqlite:{tmp_path}/events.db"),
        world.open_exporters,
        seconds=0.01,
        warn=world.said.append,
        liveness=FakeLiveness(),
    )
    exports.catch_up()
    wait_until(lambda: bool(world.sent("pr-3")))
    assert removed.is_set()
    assert world.logs.names() == ["pr-1", "pr-3"]
    assert len(world.said) == 1
    assert world.said[0].startswith("environment pr-2: its events cannot be sent: ")


async def test_a_log_that_fails_starts_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)

    class Failing:
        def cursors(self) -> object:
            raise EventLogError("the disk is full")

        def follow(self) -> object:
            return self

    with pytest.raises(EventLogError, match="the disk is full"):
        world.exports.begin("pr-1", Failing())  # type: ignore[arg-type]
    assert list(world.exports.leave()) == []
