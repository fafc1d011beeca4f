"""Scenarios of builds, and everything that they leave: for tests that compare the ways to request and to run builds."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

from databuild.cli.display.event_text import canonical
from databuild.cli.display.output import as_json
from databuild.event_log.open import open_reader
from databuild.event_log.reads import Reader
from databuild.event_log.verify import verify
from databuild.v1.events_pb2 import BuildEvent
from tests.support.script_graph import NUMBER, SUM
from tests.support.waiting import wait_until
from tests.support.ways import Way

Scenario: TypeAlias = Callable[[Way], Iterator[int]]

_GENERATED_ID: Final = re.compile(r"\b\d{8}T\d{6}Z-[a-z0-9]+")


def success(way: Way) -> Iterator[int]:
    way.begin("success", "sum/one_three", "number/two")
    yield way.end("success")


def default_partitions(way: Way) -> Iterator[int]:
    way.begin("default")
    yield way.end("default")


def repeat(way: Way) -> Iterator[int]:
    way.begin("first", "sum/one_two")
    yield way.end("first")
    way.begin("repeat", "sum/one_two", "sum/two_three")
    yield way.end("repeat")


def fail_fast(way: Way) -> Iterator[int]:
    way.begin("fail_fast", "sum/a_fail-1", "number/two", "sum/one_two")
    yield way.end("fail_fast")


def keep_going(way: Way) -> Iterator[int]:
    way.begin("keep_going", "sum/fail-1_one", "number/two", "sum/one_two", keep_going=True)
    yield way.end("keep_going")


def retry(way: Way) -> Iterator[int]:
    way.begin("failed", "sum/fail-1_one", "sum/fail-2_one", keep_going=True)
    yield way.end("failed")
    (way.graph.folder / "go-fail-1").touch()
    way.retry("again", "failed", keep_going=True)
    yield way.end("again")
    (way.graph.folder / "go-fail-2").touch()
    way.retry("only", "again", failed_jobs_only=True)
    yield way.end("only")


def cancel(way: Way) -> Iterator[int]:
    way.begin("cancelled", "number/hang-1", "number/two", "sum/hang-1_one")
    way.graph.wait_for("pid-hang-1")
    way.cancel("cancelled")
    yield way.end("cancelled")
    (way.graph.folder / "go-hang-1").touch()
    way.retry("resumed", "cancelled")
    yield way.end("resumed")


def delegation(way: Way) -> Iterator[int]:
    way.begin("maker", "number/wait-1", "number/two")
    way.graph.wait_for("pid-wait-1")
    way.begin("waiter", "sum/wait-1_two")
    with contextlib.closing(open_reader(way.uri)) as reader:
        wait_until(lambda: any(event.delegation.running for event in reader.events("waiter")))
    (way.graph.folder / "go-wait-1").touch()
    yield way.end("maker")
    yield way.end("waiter")


def bad_requests(way: Way) -> Iterator[int]:
    way.begin("unknown", "nobody/makes_this")
    yield way.end("unknown")
    way.begin("refused", "sum/one_odd-2", "number/three")
    yield way.end("refused")


def downstream(way: Way) -> Iterator[int]:
    way.begin("first", "sum/one_two", "sum/two_three", "sum/one_three")
    yield way.end("first")
    way.begin("fresh", "number/two", downstream=True)
    yield way.end("fresh")
    way.begin("forced", "number/two", force=True)
    yield way.end("forced")
    way.begin("stale", "number/two", "number/three", downstream=True)
    yield way.end("stale")
    way.begin("nothing", "sum/one_two", downstream=True)
    yield way.end("nothing")


_MISSES = r"""if [[ -e lose ]]; then rm lose data/number-one; fi
for name in "${names[@]}"; do
  if [[ -e "data/number-$name" ]]; then continue; fi
  echo "{\"missing\": {\"ref\": \"number/$name\"}}" >>"$DATABUILD_REPORT"
  exit 0
done
for"""


def lost(way: Way) -> Iterator[int]:
    folder = way.graph.folder
    length = r"\"length\": ${#name}"
    path = r"\"path\": \"data/number-$name\""
    (folder / "number").write_text(NUMBER.replace(length, f"{length}, {path}"))
    reads = 'IFS=_ read -ra names <<<"$2"\n'
    (folder / "sum").write_text(SUM.replace(f"{reads}for", reads + _MISSES))
    way.begin("first", "sum/one_two")
    yield way.end("first")
    (folder / "data" / "number-two").unlink()
    way.begin("noticed", "sum/two_three")
    yield way.end("noticed")
    (folder / "lose").touch()
    way.begin("reported", "sum/one_three")
    yield way.end("reported")


SCENARIOS = (
    success,
    default_partitions,
    repeat,
    fail_fast,
    keep_going,
    retry,
    cancel,
    delegation,
    bad_requests,
    downstream,
    lost,
)
OUTCOMES: dict[Scenario, tuple[list[int], set[str]]] = {
    success: ([0], {"one", "two", "three", "one_three"}),
    default_partitions: ([0], {"one", "two", "one_two"}),
    repeat: ([0, 0], {"one", "two", "three", "one_two", "two_three"}),
    fail_fast: ([1], {"a"}),
    keep_going: ([1], {"one", "two", "one_two"}),
    retry: ([1, 1, 0], {"one", "fail-1", "fail-2", "fail-1_one"}),
    cancel: ([130, 0], {"two", "one", "hang-1", "hang-1_one"}),
    delegation: ([0, 0], {"two", "wait-1", "wait-1_two"}),
    bad_requests: ([2, 1], set()),
    downstream: ([0, 0, 0, 0, 2], {"one", "two", "three", "one_two", "two_three", "one_three"}),
    lost: ([0, 0, 0], {"one", "two", "three", "one_two", "two_three", "one_three"}),
}
"""The end of each build of a scenario, and all partitions that the scenario produces."""


class Left:
    """The events, outputs and logs of a scenario, without times, measurements, folders and the executor."""

    def __init__(self, way: Way, codes: list[int]) -> None:
        folder = way.graph.folder
        self.codes = codes
        self.data = texts(folder / "data")
        self.logs = texts(folder / ".databuild/numbers/graph/logs")
        with contextlib.closing(open_reader(way.uri)) as reader:
            self.faults = verify(reader).reported
            self.events, self.records = builds_of(reader, folder)


def builds_of(reader: Reader, folder: Path) -> tuple[dict[str, list[str]], dict[str, list[dict[str, Any]]]]:
    """Returns the events of each build and its records, masked, newest build first."""
    events: dict[str, list[str]] = {}
    records: dict[str, list[dict[str, Any]]] = {}
    for build in reader.builds(limit=100):
        name = build.build_request_id
        kept = [_apart_from_executor(event) for event in reader.events(name)]
        # One at a time, so that the order of events is fixed.
        events[name] = [canonical([event])[0].replace(str(folder), "") for event in kept if event]
        numbered = build._replace(last_sequence=len(events[name]))
        records[name] = [
            {key: _masked(value) for key, value in as_json(record).items() if not key.endswith(("_time", "_seconds"))}
            for record in (numbered, *reader.build_partitions(name))
        ]
    return events, records


def _masked(value: object) -> object:
    """Returns a value of a record without the id of an operation, which is generated."""
    return _GENERATED_ID.sub("OPERATION", value) if isinstance(value, str) else value


def _apart_from_executor(event: BuildEvent) -> BuildEvent | None:
    """Returns an event without the executor; None if it is only about the executor."""
    if event.build_request.HasField("options"):
        event.build_request.options.ClearField("executor")
    return None if event.HasField("placement") else event


def texts(folder: Path) -> dict[str, str]:
    """Returns the files below a folder, with their contents."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
