"""Builds of the flights example are sent to every receiver, whatever happens to it or to them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from databuild.client import DatabuildClient
from tests.support.checked_receivers import RECEIVERS, CheckedReceiver
from tests.support.waiting import wait_until

HERE = Path("tests/end_to_end/exporters").absolute()
DAY = "daily_delays/date=2013-01-0{}"
LIMIT = "--exporter_seconds=0.1"


class Flights:
    """The graph in a folder, and the receiver of an exporter."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.receiver = RECEIVERS[name]()
        self.make_receiver: Callable[[], CheckedReceiver] = RECEIVERS[name]
        self.program = str(HERE / ("graph_with_address" if name == "bes" else "graph"))
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, program: str, *arguments: str, receiver: CheckedReceiver | None = None) -> subprocess.Popen[str]:
        places = {"DATABUILD_DATA_ROOT": f"{self.folder}/data", "BUILD_WORKING_DIRECTORY": str(self.folder)}
        process = subprocess.Popen(
            [program, *arguments],
            env={**os.environ, **places, **(receiver or self.receiver).environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(
        self, command: str, *arguments: str, state: str = "state", receiver: CheckedReceiver | None = None
    ) -> tuple[int, str, str]:
        receiver = receiver or self.receiver
        flags = (*receiver.flags, f"--state_dir={self.folder}/{state}")
        process = self.start(self.program, command, *arguments, *flags, receiver=receiver)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def build(self, build: str, *arguments: str, state: str = "state") -> tuple[int, str, str]:
        return self.run("build", *arguments, f"--build_request_id={build}", "--jobs=2", state=state)

    def serve(self, state: str) -> str:
        """Starts a service that sends to the receiver, and returns its address."""
        flags = (*self.receiver.flags, f"--state_dir={self.folder}/{state}", "--jobs=1")
        process = self.start(f"{self.program}.service", "--port=0", "--grpc_port=0", "--output=json", *flags)
        assert process.stdout is not None
        address: str = json.loads(process.stdout.readline())["grpc"]
        return address

    def sent_to_another(self, since: str) -> tuple[Any, Any]:
        """Returns what a new receiver gets of all builds since one: everything, once."""
        other = self.make_receiver()
        code, _, err = self.run("export", f"--since={since}", receiver=other)
        assert code == 0, err
        result = other.messages(), other.totals()
        other.close()
        return result

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.receiver.close()


@pytest.fixture(params=RECEIVERS)
def flights(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flights]:
    flights = Flights(tmp_path, request.param)
    yield flights
    flights.close()


def test_a_month_is_sent_while_it_is_built(flights: Flights) -> None:
    receiver = flights.receiver
    partitions = ("airport_report/month=2013-01", "carrier_report/month=2013-01")
    strict = ("--exporter_failure=fail", "--exporter_seconds=60")
    code, out, err = flights.build("month", *partitions, *strict)
    assert (code, "COMPLETED" in out, "sent" in err) == (0, True, False), err
    assert (receiver.ended(), receiver.repeated()) == ({"month": ""}, 0)
    assert (receiver.messages(), receiver.totals()) == flights.sent_to_another("month")


def test_a_receiver_with_faults_changes_no_build_and_gets_everything_once_later(flights: Flights) -> None:
    receiver = flights.receiver
    # The first use begins at the end of the log.
    assert flights.run("export")[0] == 0
    faults = {"away": receiver.leave, "full": receiver.fill, "slow": receiver.hold}
    for day, (name, fail) in enumerate(faults.items(), 1):
        fail()
        code, out, err = flights.build(name, DAY.format(day), LIMIT)
        # The process has ended before the receiver has taken anything.
        assert (code, "COMPLETED" in out, "not all events were sent to" in err) == (0, True, True), err
        assert receiver.ended() == {}
        if name == "away":
            receiver.recover()
    receiver.recover()
    code, _, err = flights.run("export")
    assert code == 0, err
    assert receiver.ended() == dict.fromkeys(faults, "")
    assert (receiver.messages(), receiver.totals()) == flights.sent_to_another("away")


def test_a_receiver_that_refuses_changes_no_build_and_is_asked_once(flights: Flights) -> None:
    receiver = flights.receiver
    receiver.refuse()
    code, out, err = flights.build("refused", DAY.format(1), "--exporter_seconds=60")
    assert (code, "COMPLETED" in out, f"left out: {receiver.refusal}" in err) == (0, True, True), err
    receiver.recover()
    assert flights.run("export")[0] == 0
    assert receiver.messages() == {}
    assert flights.run("export", "--since=refused")[0] == 0
    assert (receiver.ended(), receiver.repeated()) == ({"refused": ""}, 0)


def test_a_build_that_was_killed_is_sent_by_the_next_one(flights: Flights) -> None:
    receiver = flights.receiver
    flags = (*receiver.flags, f"--state_dir={flights.folder}/state", "--build_request_id=killed", "--jobs=1")
    process = flights.start(flights.program, "build", DAY.format("1..2013-01-31"), *flags)
    wait_until(lambda: bool(list(flights.folder.glob("data/*/*/data.parquet"))))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert "killed" not in receiver.ended()
    code, _, err = flights.build("next", DAY.format(1), "--exporter_seconds=60")
    assert code == 0, err
    assert set(receiver.ended()) == {"killed", "next"}
    assert (receiver.messages(), receiver.totals()) == flights.sent_to_another("killed")


def test_the_command_line_a_service_and_the_client_send_the_same(flights: Flights) -> None:
    receiver = flights.receiver
    sent = []

    def take() -> None:
        wait_until(lambda: len(receiver.ended()) == 1)
        sent.append(receiver.masked())
        receiver.clear()

    code, _, err = flights.run("build", DAY.format(1), "--jobs=1", state="here")
    assert code == 0, err
    take()
    process = flights.start(flights.program, "build", DAY.format(1), f"--server={flights.serve('service')}")
    assert process.wait(300) == 0
    take()
    with DatabuildClient(flights.serve("client")) as client:
        client.submit([DAY.format(1)])
        take()
    assert sent[1:] == sent[:1] * 2
