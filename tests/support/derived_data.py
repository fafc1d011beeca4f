"""Jobs over a graph of three levels whose data is derived from that of their inputs, in a folder or an object store.

The store can be read and changed beside the jobs, as people and life cycles of buckets do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from databuild.executors.executor import ProcessResult
from databuild.job.locations import file_uri, size_and_version
from databuild.model.records import Location
from databuild.storage.storages import Storages
from tests.support.build_world import CLEAN, DONE, RAW, Report, World, config
from tests.support.file_jobs import MISSED

INPUTS: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "raw/1": (),
        "raw/2": (),
        "clean/1": ("raw/1",),
        "clean/2": ("raw/1", "raw/2"),
        "clean/3": ("clean/1", "clean/2"),
    }
)
"""The inputs of each partition. Inputs come first."""


class Place(Protocol):
    """The place of all data."""

    def location(self, ref: str) -> Location | None:
        """Returns the location of the data of a partition, as a job reports it; None if nothing is there."""
        ...

    def read(self, ref: str) -> str: ...

    def write(self, ref: str, text: str) -> None: ...

    def remove(self, ref: str) -> None: ...


class Folder:
    """A folder with a file for each partition."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def path(self, ref: str) -> Path:
        return self._path / ref

    def location(self, ref: str) -> Location | None:
        path = self.path(ref)
        return Location(file_uri(path), *size_and_version(path)) if path.exists() else None

    def read(self, ref: str) -> str:
        return self.path(ref).read_text()

    def write(self, ref: str, text: str) -> None:
        self.path(ref).parent.mkdir(parents=True, exist_ok=True)
        self.path(ref).write_text(text)

    def remove(self, ref: str) -> None:
        self.path(ref).unlink(missing_ok=True)


class Objects:
    """An object for each partition."""

    def __init__(self, storages: Storages, uri: str) -> None:
        self._storage = storages.for_uri(uri)
        self._uri = uri

    def uri(self, ref: str) -> str:
        return f"{self._uri}/{ref}"

    def location(self, ref: str) -> Location | None:
        found = self._storage.stat(self.uri(ref))
        return Location(found.uri, found.size_bytes, found.version) if found is not None else None

    def read(self, ref: str) -> str:
        data = self._storage.read(self.uri(ref))
        assert data is not None
        return data.decode()

    def write(self, ref: str, text: str) -> None:
        self._storage.write(self.uri(ref), text.encode())

    def remove(self, ref: str) -> None:
        self._storage.remove(self.uri(ref))


class DerivedData:
    """The jobs of a world, which keep their data at a place.

    Attributes:
        place: The place.
        made: The partitions that job runs have made, in order.
        before: Functions that are called once when the job run of a partition begins, by ref.
        after: The same when it has read its inputs and written its output.
    """

    def __init__(self, world: World, place: Place, *, reports: bool = True) -> None:
        """Gives a world its jobs.

        Args:
            world: The world.
            place: The place of the data.
            reports: False for jobs that fail without a report when an input is missing.
        """
        self.place = place
        self.made: list[str] = []
        self.before: dict[str, Callable[[], None]] = {}
        self.after: dict[str, Callable[[], None]] = {}
        self._world = world
        self._reports = reports
        world.catalog = world.catalog._replace(extensions={"s3": ()})
        world.executor.configs.update((ref, config(ref, *inputs)) for ref, inputs in INPUTS.items())
        for label in (RAW, CLEAN):
            world.executor.runs[label] = self._run

    def text(self, ref: str) -> str:
        """Returns the data of a partition that follows from the present data of its inputs."""
        return f"{ref} of ({', '.join(map(self.place.read, INPUTS[ref]))})"

    @staticmethod
    def digest(text: str) -> str:
        """Returns the version that a partition has with this data."""
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    def _run(self, env: Mapping[str, str], report: Report) -> ProcessResult:
        ref = self._output(env)
        self.before.pop(ref, _nothing)()
        missing = next((used for used in INPUTS[ref] if self.place.location(used) is None), "")
        if missing:
            if self._reports:
                report({"missing": {"ref": missing}})
            return MISSED
        self.made.append(ref)
        text = self.text(ref)
        self.place.write(ref, text)
        location = self.place.location(ref)
        assert location is not None
        described = {"uri": location.uri, "size_bytes": location.size, "version": location.version}
        self.after.pop(ref, _nothing)()
        report({"partition": {"ref": ref, "location": described, "content_digest": self.digest(text)}})
        return DONE

    def _output(self, env: Mapping[str, str]) -> str:
        """Returns the output of a job run, from its task."""
        build, task, _ = env["DATABUILD_JOB_RUN_ID"].rsplit(".", 2)
        for event in self._world.log.reader().events(build):
            for one in event.job_graph.tasks:
                if one.task_id == int(task):
                    return one.config.outputs[0].str
        raise AssertionError(env)


def _nothing() -> None:
    pass
