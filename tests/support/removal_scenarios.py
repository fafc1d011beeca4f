"""Scenarios of data that is forgotten, deleted, cleaned up, verified and changed, and everything that they leave."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from databuild.cli.display.event_text import canonical
from databuild.cli.display.output import as_json
from databuild.event_log.open import open_reader
from databuild.event_log.reads import Reader
from tests.support.answers import Answer
from tests.support.scenarios import Left
from tests.support.script_graph import NUMBER
from tests.support.ways import Way

RemovalScenario: TypeAlias = Callable[[Way], Iterator[int | Answer]]

_REPORT = r"\"metadata\": {\"length\": ${#name}}"
_LOCATION = (
    r"\"location\": {\"uri\": \"file://$PWD/data/number-$name\", \"size_bytes\": $(stat -c %s data/number-$name), "
    r"\"version\": \"$(stat -c %.9Y data/number-$name | tr -d .).$(stat -c %i data/number-$name)\"}"
)


def _build(way: Way, name: str, *refs: str) -> int:
    way.begin(name, *refs)
    return way.end(name)


def _start(way: Way) -> int:
    """Lets numbers report their locations, and builds two sums."""
    (way.graph.folder / "number").write_text(NUMBER.replace(_REPORT, f"{_REPORT}, {_LOCATION}"))
    return _build(way, "first", "sum/one_two", "sum/two_three")


def forget(way: Way) -> Iterator[int | Answer]:
    yield _start(way)
    yield way.forget("number/two", "number/four")
    yield way.forget("number/{name}")
    yield way.forget("number/two")
    yield _build(way, "again", "sum/one_two")


def delete(way: Way) -> Iterator[int | Answer]:
    yield _start(way)
    yield way.delete("number/{name}", "sum/one_two", dry_run=True)
    yield way.delete("number/one", "number/two")
    yield way.delete("number/one")
    yield _build(way, "fresh", "sum/one_two")
    yield _build(way, "again", "number/two", "sum/one_three")


def clean(way: Way) -> Iterator[int | Answer]:
    yield _start(way)
    yield _build(way, "unused", "number/four")
    yield way.clean()
    yield way.clean(delete_inputs=True)
    yield way.clean(delete_inputs=True)
    yield _build(way, "again", "sum/one_three")


def verify(way: Way) -> Iterator[int | Answer]:
    yield _start(way)
    data = way.graph.folder / "data"
    (data / "number-one").unlink()
    (data / "number-two").write_text("12345\n")
    yield way.verify("report")
    yield way.verify("adopt")
    (data / "number-three").write_text("54321\n")
    yield way.verify("rebuild")
    yield _build(way, "again", "sum/one_two", "sum/two_three")
    yield way.verify("report")


def change(way: Way) -> Iterator[int | Answer]:
    yield _start(way)
    data = way.graph.folder / "data"
    (data / "number-two").write_text("12345\n")
    yield _build(way, "changed", "sum/two_four")
    yield _build(way, "repeated", "sum/two_four")
    (data / "number-two").unlink()
    yield _build(way, "again", "sum/two_four")


REMOVAL_SCENARIOS: tuple[RemovalScenario, ...] = (forget, delete, clean, verify, change)


class LeftOfRemovals(Left):
    """Everything that a scenario leaves, with the events of its operations and the records of partitions."""

    def __init__(self, way: Way, answers: list[int | Answer]) -> None:
        super().__init__(way, [one for one in answers if isinstance(one, int)])
        self.answers = answers
        with contextlib.closing(open_reader(way.uri)) as reader:
            self.operations = operations_of(reader, self.events, way.graph.folder)
            self.partitions = partitions_of(reader, way.graph.folder)


def operations_of(reader: Reader, builds: Collection[str], folder: Path) -> list[str]:
    """Returns the events of a log that are not of builds, masked."""
    operations = [event for _, event in reader.all_events() if event.build_request_id not in builds]
    return [canonical([event])[0].replace(str(folder), "") for event in operations]


def partitions_of(reader: Reader, folder: Path) -> list[dict[str, Any]]:
    """Returns the records of partitions, masked."""
    return [_masked(as_json(record), str(folder)) for record in reader.partitions(limit=100)]


def _masked(record: dict[str, Any], folder: str) -> dict[str, Any]:
    """Returns a record without times, ids that were generated, and what depends on the file system."""
    shown = {name: record[name] for name in ("ref", "status", "available", "tainted", "taint_reason", "metadata")}
    for name in ("adoption", "removal"):
        about = record.get(name)
        shown[name] = {key: about[key] for key in ("author", "reason")} if about else None
    shown["location"] = record["location"]["uri"].replace(folder, "") if record["location"] else None
    return shown
