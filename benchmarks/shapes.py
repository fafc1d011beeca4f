"""The graphs that are built: their refs, what each needs, and how large they are.

noop_job.c tells DataBuild the same as `inputs` here tells the others. Neither knows who builds a graph, or how.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol


class Shape(Protocol):
    """One graph. Each of its refs is a task of its own, and the last one needs all others."""

    @property
    def name(self) -> str:
        """What graphs of this shape are called."""
        ...

    @property
    def size(self) -> int:
        """How many tasks there are, sinks aside."""
        ...

    @property
    def tasks(self) -> int:
        """How many tasks there are."""
        ...

    @property
    def at_once(self) -> int:
        """How many tasks can run at once at most."""
        ...

    @property
    def patterns(self) -> tuple[str, ...]:
        """The partition patterns of the refs."""
        ...

    def refs(self) -> Iterator[str]:
        """Yields every ref, after what it needs; the last one is asked for."""
        ...

    def inputs(self, ref: str) -> Iterator[str]:
        """Yields the refs that a ref needs."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """A task after the other."""

    length: int
    name: str = "chain"
    at_once: int = 1
    patterns: tuple[str, ...] = ("chain/{n:int}",)

    @property
    def size(self) -> int:
        """Its length."""
        return self.length

    @property
    def tasks(self) -> int:
        """As many as it is long."""
        return self.length

    def refs(self) -> Iterator[str]:
        """Yields `chain/N`, from 0 on."""
        return (f"chain/{n}" for n in range(self.length))

    def inputs(self, ref: str) -> Iterator[str]:
        """Yields the one before."""
        n = int(ref.removeprefix("chain/"))
        if n:
            yield f"chain/{n - 1}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wide:
    """Independent tasks, and a sink that needs all of them."""

    width: int
    name: str = "wide"
    patterns: tuple[str, ...] = ("leaf/{n:int}", "wide/{width:int}")

    @property
    def size(self) -> int:
        """Its width."""
        return self.width

    @property
    def tasks(self) -> int:
        """As many as it is wide, and the sink."""
        return self.width + 1

    @property
    def at_once(self) -> int:
        """All but the sink."""
        return self.width

    def refs(self) -> Iterator[str]:
        """Yields `leaf/N`, from 0 on, and `wide/WIDTH`."""
        yield from (f"leaf/{n}" for n in range(self.width))
        yield f"wide/{self.width}"

    def inputs(self, ref: str) -> Iterator[str]:
        """Yields all leaves for the sink."""
        if ref.startswith("wide/"):
            yield from (f"leaf/{n}" for n in range(self.width))


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """Layers of tasks that each need three of the layer before, and a sink that needs the last layer."""

    height: int
    width: int
    name: str = "layers"
    patterns: tuple[str, ...] = ("layer/{width:int}/{layer:int}/{n:int}", "layers/{width:int}/{height:int}")

    @property
    def size(self) -> int:
        """All layers together."""
        return self.height * self.width

    @property
    def tasks(self) -> int:
        """All layers together, and the sink."""
        return self.size + 1

    @property
    def at_once(self) -> int:
        """A layer."""
        return self.width

    def refs(self) -> Iterator[str]:
        """Yields `layer/WIDTH/LAYER/N`, from 0 on, and `layers/WIDTH/HEIGHT`."""
        yield from (f"layer/{self.width}/{layer}/{n}" for layer in range(self.height) for n in range(self.width))
        yield f"layers/{self.width}/{self.height}"

    def inputs(self, ref: str) -> Iterator[str]:
        """Yields neighbours in the layer before, or the last layer for the sink."""
        kind, *numbers = ref.split("/")
        if kind == "layers":
            yield from (f"layer/{self.width}/{self.height - 1}/{n}" for n in range(self.width))
        elif numbers[1] != "0":
            layer, n = int(numbers[1]), int(numbers[2])
            yield from (f"layer/{self.width}/{layer - 1}/{(n + more) % self.width}" for more in range(3))


def request_of(shape: Shape) -> str:
    """Returns the ref that needs all others."""
    *_, last = shape.refs()
    return last


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How large the graphs are.

    Attributes:
        chain: How long the chain is.
        wide: How wide the executed wide graphs are, from small to large; the targets are held against the middle one.
        layers: How many layers, and how wide they are.
        planned: How wide the wide graphs are that are only planned: a small and a large one.
        builds_at_once: How many builds load an event log at once, from few to many.
        tasks_of_a_build: How many tasks each of those has.
        records: How many partition records there are where commands only read: few and many.
        served_tasks: How wide the wide graph is that a service builds.
        submissions: How many builds are submitted to a service at once.
        watched_builds: How many small builds are submitted one after the other, and watched.
    """

    chain: int
    wide: tuple[int, int, int]
    layers: tuple[int, int]
    planned: tuple[int, int]
    builds_at_once: tuple[int, ...]
    tasks_of_a_build: int
    records: tuple[int, int]
    served_tasks: int
    submissions: int
    watched_builds: int


FULL: Final = Sizes(
    chain=200,
    wide=(200, 1_000, 5_000),
    layers=(10, 100),
    planned=(10_000, 100_000),
    builds_at_once=(1, 4, 8),
    tasks_of_a_build=1_000,
    records=(10_000, 1_000_000),
    served_tasks=1_000,
    submissions=1_000,
    watched_builds=200,
)
QUICK: Final = Sizes(
    chain=4,
    wide=(4, 8, 16),
    layers=(3, 4),
    planned=(20, 200),
    builds_at_once=(1, 2),
    tasks_of_a_build=10,
    records=(1_000, 2_000),
    served_tasks=8,
    submissions=9,
    watched_builds=5,
)
