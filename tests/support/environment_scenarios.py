"""Scenarios of builds in environments, and everything that they leave there and in the base."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

from databuild.event_log.open import environments, open_reader
from databuild.event_log.reads import Reader
from databuild.event_log.verify import verify
from databuild.v1.events_pb2 import BuildEvent
from tests.support.answers import Answer
from tests.support.removal_scenarios import LeftOfRemovals, operations_of, partitions_of
from tests.support.scenarios import builds_of, texts
from tests.support.script_graph import NUMBER
from tests.support.waiting import wait_until
from tests.support.ways import Way

EnvironmentScenario: TypeAlias = Callable[[Way], Iterator[int | Answer]]

_FILE_VERSION: Final = re.compile(r', "version": "\d+\.\d+"')

_PLACE = """place="data${DATABUILD_ENVIRONMENT:+/.environments/$DATABUILD_ENVIRONMENT}/number"
length=$((${#name} * $(<factor)))
mkdir -p "$place"
"""

_NUMBER = (
    NUMBER.replace("mkdir -p data\n", _PLACE)
    .replace('echo "${#name}" >"data/number-$name"', 'echo "$length" >"$place/$name"')
    .replace(r"\"length\": ${#name}", r"\"length\": $length, \"path\": \"$place/$name\"")
)
"""Writes the data of each environment apart. It depends on a file that stands for the code."""

_SUM = f"""#!{sys.executable} -I
import pathlib, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from databuild.job import Config, Run, main

def config(refs):
    return [Config(outputs=[ref], materialize=[f"number/{{name}}" for name in ref[4:].split("_")]) for ref in refs]

def run(run: Run) -> None:
    total = sum(int(pathlib.Path(run.location(used.ref)).read_text()) for used in run.inputs)
    path = pathlib.Path(run.location(run.output.ref))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(total))
    print("sum", total)
    run.metric("total", total)
    run.check("positive", total > 0, severity="warning", ref=run.output.ref)
    run.finished(run.output.ref, uri=path, total=total)

main(config, run)
"""


def _switch(way: Way, job: str, code: str) -> None:
    """Changes the code of a job, as a checkout of another branch does."""
    folder = way.graph.folder
    (folder / f"{job}.digest").write_text(f"{job}-{code}\n")
    if job == "number":
        (folder / "factor").write_text(code)
    way.restart()


def _build(way: Way, name: str, *refs: str, environment: str = "") -> int:
    way.begin(name, *refs, environment=environment)
    return way.end(name)


def _start(way: Way) -> int:
    """Builds two sums in the base, with jobs that know the place of an environment."""
    folder = way.graph.folder
    (folder / "number").write_text(_NUMBER)
    (folder / "sum").write_text(_SUM)
    (folder / "factor").write_text("1")
    return _build(way, "base", "sum/one_two", "sum/two_three")


def _wait_for_event(way: Way, build: str, environment: str, expected: Callable[[BuildEvent], bool]) -> None:
    def is_there() -> bool:
        # A reader that was opened before there is a log reads it as empty.
        with contextlib.closing(open_reader(way.uri, environment)) as reader:
            return any(expected(event) for event in reader.events(build))

    wait_until(is_there)


def shared(way: Way) -> Iterator[int | Answer]:
    """Uses the data of the base, and builds only what it does not have or what other code would make."""
    yield _start(way)
    yield way.plan("sum/one_two", "number/four", environment="pr-1")
    yield _build(way, "same", "sum/one_two", "sum/three_four", environment="pr-1")
    yield way.plan("sum/one_two", "sum/three_four", environment="pr-1")
    _switch(way, "sum", "2")
    yield way.plan("sum/one_two", "sum/three_four", environment="pr-1")
    yield _build(way, "changed", "sum/one_two", environment="pr-1")
    yield way.plan("sum/one_two", "sum/two_three")
    _switch(way, "sum", "1")
    yield way.plan("sum/one_two", "sum/two_three")
    yield _build(way, "again", "sum/one_two", "sum/two_three", "number/four")


def promoted(way: Way) -> Iterator[int | Answer]:
    """Compares an environment with the base, promotes its data, and builds in the base."""
    yield _start(way)
    _switch(way, "number", "2")
    yield _build(way, "changed", "sum/one_two", "number/four", environment="pr-1")
    yield way.compare("pr-1")
    yield way.compare("pr-1", "number/one", "number/three")
    yield way.promote("pr-1", "sum/one_two")
    yield way.promote("pr-1", "number/four")
    yield way.promote("pr-1")
    yield way.promote("pr-1")
    yield way.compare("pr-1", "sum/one_two")
    yield way.plan("sum/one_two", "sum/two_three", "number/four")
    yield _build(way, "merged", "sum/one_two", "sum/two_three", "number/four")
    yield way.compare("absent")
    yield way.promote("absent")


def removed(way: Way) -> Iterator[int | Answer]:
    """Removes one of two environments with its data, of which the base uses a part, and the other without."""
    yield _start(way)
    _switch(way, "number", "2")
    yield _build(way, "changed", "sum/one_two", environment="pr-1")
    yield _build(way, "other", "number/one", environment="pr-2")
    yield way.environments()
    yield way.promote("pr-1", "number/one")
    yield way.remove("pr-1", delete_data=True)
    yield way.remove("pr-1", delete_data=True)
    yield way.environments()
    yield way.plan("number/one", environment="pr-2")
    yield _build(way, "anew", "number/two", environment="pr-1")
    yield way.remove("pr-1", delete_data=False)
    yield way.plan("number/one", "number/two")
    yield _build(way, "again", "number/one", "sum/one_two")


def failures(way: Way) -> Iterator[int | Answer]:
    """Fails, is cancelled, and is retried, in an environment beside a build of the base that lasts."""
    yield _start(way)
    way.begin("failed", "sum/fail-1_one", "number/four", environment="pr-1", keep_going=True)
    yield way.end("failed")
    (way.graph.folder / "go-fail-1").touch()
    way.retry("retried", "failed")
    yield way.end("retried")
    way.begin("cancelled", "sum/hang-1_one", environment="pr-1")
    way.graph.wait_for("pid-hang-1")
    way.cancel("cancelled")
    yield way.end("cancelled")
    (way.graph.folder / "go-hang-1").touch()
    way.retry("resumed", "cancelled")
    yield way.end("resumed")
    yield way.plan("sum/fail-1_one", "sum/hang-1_one")


def delegation(way: Way) -> Iterator[int | Answer]:
    """Delegates to a build of the same environment, and not to one of another environment or of the base."""
    yield _start(way)
    way.begin("maker", "number/wait-1", environment="pr-1")
    way.graph.wait_for("pid-wait-1")
    way.begin("waiter", "sum/wait-1_two", environment="pr-1")
    _wait_for_event(way, "waiter", "pr-1", lambda event: bool(event.delegation.running))
    for name, environment in (("beside", ""), ("elsewhere", "pr-2")):
        way.begin(name, "number/wait-1", environment=environment)
        _wait_for_event(way, name, environment, lambda event: event.HasField("job_graph"))
    (way.graph.folder / "go-wait-1").touch()
    for name in ("maker", "waiter", "beside", "elsewhere"):
        yield way.end(name)


def lost(way: Way) -> Iterator[int | Answer]:
    """Finds data of the base lost in an environment, which is recorded there and made there again."""
    yield _start(way)
    (way.graph.folder / "data/number/two").unlink()
    _switch(way, "sum", "2")
    yield way.plan("sum/one_two", environment="pr-1")
    yield _build(way, "lost", "sum/one_two", environment="pr-1")
    yield way.verify("report", environment="pr-1")
    (way.graph.folder / "data/.environments/pr-1/sum/one_two").write_text("12345")
    yield way.verify("rebuild", environment="pr-1")
    yield _build(way, "again", "sum/one_two", environment="pr-1")
    yield way.verify("report", environment="pr-1")
    yield way.verify("report")


ENVIRONMENT_SCENARIOS: tuple[EnvironmentScenario, ...] = (shared, promoted, removed, failures, delegation, lost)


class _Contents:
    """The contents of the event log of an environment, over that of the base, masked."""

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.faults = verify(reader).reported
        self.events, self.records = builds_of(reader, folder)
        self.operations = operations_of(reader, self.events, folder)
        self.partitions = partitions_of(reader, folder)


class LeftInEnvironments(LeftOfRemovals):
    """Everything that a scenario leaves, with the logs of environments by name."""

    def __init__(self, way: Way, answers: list[int | Answer]) -> None:
        super().__init__(way, answers)
        folder = way.graph.folder
        job_logs = folder / ".databuild/numbers/graph"
        self.logs = _masked(texts(job_logs / "logs"), folder)
        self.environment_logs = _masked(texts(job_logs / "environments"), folder)
        self.environments: dict[str, dict[str, Any]] = {}
        for name in environments(way.uri):
            with contextlib.closing(open_reader(way.uri, name)) as reader:
                self.environments[name] = vars(_Contents(reader, folder))


def _masked(logs: dict[str, str], folder: Path) -> dict[str, str]:
    """Returns job logs without the folder and the versions of files, which reports have."""
    return {name: _FILE_VERSION.sub("", text.replace(str(folder), "")) for name, text in logs.items()}
