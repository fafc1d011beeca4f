"""Shapes of the graphs that are built: their refs, the inputs of each, and their sizes.

noop_job.c has the same rules as `inputs`, for DataBuild; build files of other tools are made from this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol


class Declared(NamedTuple):
    """A declared job, as in the job catalog (proto/databuild/v1/catalog.proto).

    Attributes:
        output: The partition pattern of its refs.
        inputs: The templates of their inputs.
        optional_inputs: The templates of the inputs that exist within the bounds.
        bounds: The bounds of the fields of `output`.
    """

    output: str
    inputs: tuple[str, ...] = ()
    optional_inputs: tuple[str, ...] = ()
    bounds: Mapping[str, str] = {}


class Shape(Protocol):
    """One graph. Each ref is a task of its own, and the last ref depends on all others."""

    @property
    def name(self) -> str:
        """The name of the shape."""
        ...

    @property
    def size(self) -> int:
        """The number of tasks without the sink."""
        ...

    @property
    def tasks(self) -> int:
        """The number of tasks."""
        ...

    @property
    def parallelism(self) -> int:
        """The maximum number of tasks that can run at once."""
        ...

    @property
    def declared(self) -> tuple[Declared, ...]:
        """The jobs that declare what `inputs` returns."""
        ...

    @property
    def patterns(self) -> tuple[str, ...]:
        """The partition patterns of the refs."""
        ...

    def refs(self) -> Iterator[str]:
        """Yields every ref after its inputs."""
        ...

    def inputs(self, ref: str) -> Iterator[str]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """A chain of tasks."""

    length: int
    name: str = "chain"
    parallelism: int = 1
    patterns: tuple[str, ...] = ("chain/{n:int}",)

    @property
    def declared(self) -> tuple[Declared, ...]:
        return (Declared("chain/{n:int}", optional_inputs=("chain/{n-1}",), bounds={"n": "0.."}),)

    @property
    def size(self) -> int:
        return self.length

    @property
    def tasks(self) -> int:
        return self.length

    def refs(self) -> Iterator[str]:
        return (f"chain/{n}" for n in range(self.length))

    def inputs(self, ref: str) -> Iterator[str]:
        n = int(ref.removeprefix("chain/"))
        if n:
            yield f"chain/{n - 1}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wide:
    """Independent tasks, and a sink that depends on all of them."""

    width: int
    name: str = "wide"
    patterns: tuple[str, ...] = ("leaf/{n:int}", "wide/{width:int}")

    @property
    def declared(self) -> tuple[Declared, ...]:
        leaves = f"leaf/{{width-{self.width}..width-1}}"
        return Declared("leaf/{n:int}"), Declared("wide/{width:int}", inputs=(leaves,))

    @property
    def size(self) -> int:
        return self.width

    @property
    def tasks(self) -> int:
        return self.width + 1

    @property
    def parallelism(self) -> int:
        return self.width

    def refs(self) -> Iterator[str]:
        yield from (f"leaf/{n}" for n in range(self.width))
        yield f"wide/{self.width}"

    def inputs(self, ref: str) -> Iterator[str]:
        if ref.startswith("wide/"):
            yield from (f"leaf/{n}" for n in range(self.width))


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """Layers of tasks, each with its neighbours in the layer before as inputs, and a sink after the last layer."""

    height: int
    width: int
    name: str = "layers"
    patterns: tuple[str, ...] = ("layer/{width:int}/{layer:int}/{n:int}", "layers/{width:int}/{height:int}")

    @property
    def declared(self) -> tuple[Declared, ...]:
        bounds = {"layer": "0..", "n": f"0..{self.width - 1}"}
        last_layer = f"layer/{{width}}/{{height-1}}/{{width-{self.width}..width-1}}"
        return (
            Declared(
                "layer/{width:int}/{layer:int}/{n:int}",
                optional_inputs=("layer/{width}/{layer-1}/{n-1..n+1}",),
                bounds=bounds,
            ),
            Declared("layers/{width:int}/{height:int}", inputs=(last_layer,)),
        )

    @property
    def size(self) -> int:
        return self.height * self.width

    @property
    def tasks(self) -> int:
        return self.size + 1

    @property
    def parallelism(self) -> int:
        return self.width

    def refs(self) -> Iterator[str]:
        yield from (f"layer/{self.width}/{layer}/{n}" for layer in range(self.height) for n in range(self.width))
        yield f"layers/{self.width}/{self.height}"

    def inputs(self, ref: str) -> Iterator[str]:
        kind, *numbers = ref.split("/")
        if kind == "layers":
            yield from (f"layer/{self.width}/{self.height - 1}/{n}" for n in range(self.width))
        elif numbers[1] != "0":
            layer, n = int(numbers[1]), int(numbers[2])
            neighbours = range(max(n - 1, 0), min(n + 1, self.width - 1) + 1)
            yield from (f"layer/{self.width}/{layer - 1}/{neighbour}" for neighbour in neighbours)


def request_of(shape: Shape) -> str:
    """Returns the ref that depends on all others."""
    *_, last = shape.refs()
    return last


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Sizes of graphs and loads.

    Attributes:
        chain: The length of the chain.
        wide: The widths of the executed wide graphs, ascending; most targets are about the middle one.
        layers: The number of layers, and their width.
        planned: The widths of the graphs that are only planned, ascending. The last is planned declared only.
        planned_layers: The number of layers, and their width, of another graph that is only planned.
        parallel_builds: The numbers of parallel builds that load an event log, ascending.
        tasks_per_build: The number of tasks of each of these builds.
        records: The numbers of partition records for commands that only read, ascending.
        served_tasks: The width of the wide graph that a service builds.
        submissions: The number of builds that are submitted to a service in parallel.
        watched_builds: The number of small builds that are submitted and watched one after the other.
        worker_tasks: The width of the wide graph whose tasks workers serve.
        engine_tasks: The number of processes that run on an engine.
        exported_tasks: The width of the wide graph that is built with exporters.
        checked_files: The number of files that are verified.
        checked_objects: The number of objects that are verified.
        huge: The widths of wide graphs that only DataBuild executes, ascending.
        peers: The number of layers, and their width, of graphs that workflow tools run, ascending. A wide graph of as
            many tasks belongs to each; slow tools run the first.
    """

    chain: int
    wide: tuple[int, int, int]
    layers: tuple[int, int]
    planned: tuple[int, int, int]
    planned_layers: tuple[int, int]
    parallel_builds: tuple[int, ...]
    tasks_per_build: int
    records: tuple[int, int]
    served_tasks: int
    submissions: int
    watched_builds: int
    worker_tasks: int
    engine_tasks: int
    exported_tasks: int
    checked_files: int
    checked_objects: int
    huge: tuple[int, int]
    peers: tuple[tuple[int, int], tuple[int, int]]


FULL: Final = Sizes(
    chain=200,
    wide=(200, 1_000, 5_000),
    layers=(10, 100),
    planned=(10_000, 100_000, 1_000_000),
    planned_layers=(100, 1_000),
    parallel_builds=(1, 4, 8),
    tasks_per_build=1_000,
    records=(10_000, 1_000_000),
    served_tasks=1_000,
    submissions=1_000,
    watched_builds=200,
    worker_tasks=1_000,
    engine_tasks=1_000,
    exported_tasks=1_000,
    checked_files=100_000,
    checked_objects=100_000,
    huge=(10_000, 100_000),
    peers=((10, 20), (10, 100)),
)
QUICK: Final = Sizes(
    chain=4,
    wide=(4, 8, 16),
    layers=(3, 4),
    planned=(20, 200, 400),
    planned_layers=(3, 4),
    parallel_builds=(1, 2),
    tasks_per_build=10,
    records=(1_000, 2_000),
    served_tasks=8,
    submissions=9,
    watched_builds=5,
    worker_tasks=6,
    engine_tasks=20,
    exported_tasks=8,
    checked_files=2_000,
    checked_objects=40,
    huge=(16, 32),
    peers=((2, 2), (2, 4)),
)
