"""Checks of the stores of data: verification compared with plain listings, and builds that look for their inputs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.databuild_runs import main_file, python_environment
from benchmarks.processes import BrokenRunError, Run, run_process
from benchmarks.rows import Row
from benchmarks.session import Contestant, Measurement, Session
from benchmarks.shapes import Layers, request_of
from tools.python import child

SCENARIO: Final = "stores"
OBJECT_SCENARIO: Final = "store_objects"
OBJECTS: Final = "stores: objects"
LAYERS: Final = "stores: layers"
FIND: Final = "find with stat"
LISTING: Final = "s3fs, one listing"
VERIFY: Final = "partitions verify"
WITH_CHECK: Final = "build --verify=inputs"
WITHOUT_CHECK: Final = "build --verify=none"

_FILES_PER_FOLDER: Final = 1000
_PROGRAM: Final = Path(__file__).with_name("placed_log.py")
_PLAIN_LISTING: Final = """
import sys, s3fs
found = s3fs.S3FileSystem(use_listings_cache=False).find(sys.argv[1], detail=True)
print(len(found))
"""


class _Command:
    """A command whose output must have a text."""

    def __init__(
        self, name: str, argv: Sequence[str], folder: Path, expected: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._argv = argv
        self._folder = folder
        self._expected = expected
        self._environ = environ or {}

    def run(self, environment: Mapping[str, str]) -> Run:
        output = self._folder / "output"
        run = run_process(self._argv, {**python_environment(environment, self._folder), **self._environ}, output)
        text = output.read_text()
        if self._expected not in text:
            raise BrokenRunError(f"{self.name} printed no {self._expected!r}:\n{text[:500]}")
        return run


class _Build:
    """Builds layers of which each task reads a file of another build, besides outputs of this build."""

    def __init__(self, name: str, policy: str, folder: Path, shape: Layers, parallelism: int) -> None:
        self.name = name
        self._folder = folder
        self._tasks = shape.tasks
        flags = (f"--jobs={parallelism}", f"--verify={policy}", "--output=json")
        self._argv = _command(folder, "state", "build", *flags, request_of(shape))

    def run(self, environment: Mapping[str, str]) -> Run:
        shutil.rmtree(self._folder / "state", ignore_errors=True)
        shutil.copytree(self._folder / "prepared", self._folder / "state")
        output = self._folder / "output"
        run = run_process(self._argv, python_environment(environment, self._folder), output)
        text = output.read_text()
        if f'"jobs_completed": {self._tasks}' not in text:
            raise BrokenRunError(f"{self.name} did not complete {self._tasks} tasks:\n{text[-500:]}")
        return run


def check_files(session: Session, _start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Verifies many files, and builds with and without a look for inputs; yields the rows of both."""
    yield from _verify_files(session)
    yield from _build_layers(session)


def _verify_files(session: Session) -> Iterator[Row]:
    folder = session.folder / SCENARIO
    count = session.sizes.checked_files
    session.log(f"{SCENARIO}: creating {count:,} files")
    for number in range(count):
        path = folder / "data" / "leaf" / f"{number // _FILES_PER_FOLDER:03}" / f"{number:06}.parquet"
        if not number % _FILES_PER_FOLDER:
            path.parent.mkdir(parents=True)
        path.write_text("x" * (number % 50))
    _write_catalog(folder, [{"outputs": ["leaf/{folder:int}/{name:/.*/}"]}])
    _fill(session, folder, "state", "files", f"{folder}/data")
    find = shutil.which("find")
    if find is None:
        raise BrokenRunError("there is no program `find`")
    everything = f"looked at {count} partitions: all as recorded"
    contestants = [
        _Command(FIND, (find, f"{folder}/data", "-type", "f", "-printf", "%s %T@ %i %p\n"), folder, ".parquet\n"),
        _Command(VERIFY, _command(folder, "state", "partitions", "verify"), folder, everything),
    ]
    yield from _rows(session, SCENARIO, count, count, contestants)


def _build_layers(session: Session) -> Iterator[Row]:
    folder = session.folder / "stores-layers"
    height, width = session.sizes.layers
    shape = Layers(height=height, width=width)
    layers, sink = shape.declared
    for layer in range(height):
        (folder / "data" / "source" / str(layer)).mkdir(parents=True)
        for number in range(width):
            (folder / "data" / "source" / str(layer) / str(number)).write_text(f"{layer} {number}\n")
    declaration = {
        "inputs": ["source/{layer}/{n}"],
        "optionalInputs": layers.optional_inputs,
        "bounds": layers.bounds,
        "args": ["exec"],
    }
    jobs: list[dict[str, Any]] = [
        {"outputs": [layers.output], "declaration": declaration},
        {"outputs": [sink.output], "declaration": {"inputs": sink.inputs, "args": ["exec"]}},
        {"outputs": ["source/{layer:int}/{n:int}"], "declaration": {"args": ["exec"]}},
    ]
    _write_catalog(folder, jobs, session.job.path)
    _fill(session, folder, "prepared", "files", f"{folder}/data")
    policies = {WITHOUT_CHECK: "none", WITH_CHECK: "inputs"}
    contestants = [_Build(name, policy, folder, shape, session.parallelism) for name, policy in policies.items()]
    yield from _rows(session, LAYERS, shape.size, shape.tasks, contestants)


def check_objects(session: Session, _start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Verifies many objects at an S3 server on this machine, and yields the rows; none if there is no server."""
    try:
        from tests.engines.s3 import S3Server
    except ImportError as error:
        session.log(f"{OBJECTS}: left out, since the package {error.name} is not installed")
        return
    folder = session.folder / "stores-objects"
    folder.mkdir()
    count = session.sizes.checked_objects
    with S3Server() as server:
        session.log(f"{OBJECTS}: creating {count:,} objects")
        server.fill("data/", count)
        _write_catalog(folder, [{"outputs": ["leaf/{n:/[0-9]+/}"]}], extensions={"s3": {}})
        _fill(session, folder, "state", "objects", "s3://bucket/data/", str(count))
        everything = f"looked at {count} partitions: all as recorded"
        listing = child.command("-c", _PLAIN_LISTING, "bucket/data")
        verify = _command(folder, "state", "partitions", "verify")
        contestants = [
            _Command(LISTING, listing, folder, f"{count}\n", server.environ),
            _Command(VERIFY, verify, folder, everything, server.environ),
        ]
        yield from _rows(session, OBJECTS, count, count, contestants)


def _rows(session: Session, scenario: str, size: int, tasks: int, contestants: Sequence[Contestant]) -> Iterator[Row]:
    for measurement in session.measure(scenario, contestants):
        yield Row(
            scenario=scenario,
            size=size,
            name=measurement.name,
            tasks=tasks,
            processes=measurement.processes,
            seconds=measurement.seconds,
            median_seconds=measurement.median_seconds,
            cpu_seconds=measurement.cpu_seconds,
            peak_memory_bytes=measurement.peak_memory_bytes,
        )


def _write_catalog(folder: Path, jobs: Sequence[dict[str, Any]], executable: str = "/bin/true", **more: object) -> None:
    entries = [{"label": f"//load:job_{number}", "executable": executable, **job} for number, job in enumerate(jobs)]
    (folder / "catalog.json").write_text(json.dumps({"graphLabel": "//load:graph", "jobs": entries, **more}))


def _fill(session: Session, folder: Path, state: str, *arguments: str) -> None:
    """Creates the event log in a state directory."""
    (folder / state).mkdir()
    argv = child.command(str(_PROGRAM), f"sqlite:{folder}/{state}/events.db", *arguments)
    run_process(argv, python_environment(session.environment, folder), folder / "output")


def _command(folder: Path, state: str, *words: str) -> Sequence[str]:
    flags = (f"--catalog={folder}/catalog.json", f"--runfiles={folder}")
    return child.command(main_file(), *flags, *words, f"--state_dir={folder}/{state}")
