"""`databuild.tuples.NamedTuple` behaves like the class of the standard library that type checkers take it for."""

from __future__ import annotations

import copy
import functools
import pickle
import typing
from collections.abc import Callable
from typing import Any

import pytest

from databuild import tuples


class Ours(tuples.NamedTuple):
    """A point."""

    x: int
    name: str = "here"
    tags: tuple[str, ...] = ()

    @property
    def doubled(self) -> int:
        return 2 * self.x

    @classmethod
    def at(cls, x: int) -> typing.Self:
        return cls(x)


class Theirs(typing.NamedTuple):
    """A point."""

    x: int
    name: str = "here"
    tags: tuple[str, ...] = ()

    @property
    def doubled(self) -> int:
        return 2 * self.x

    @classmethod
    def at(cls, x: int) -> typing.Self:
        return cls(x)


class Empty(tuples.NamedTuple):
    """No fields."""


class WithCache(Ours):
    """A subclass with an attribute that is computed once."""

    @functools.cached_property
    def computed(self) -> list[int]:
        return [self.x]


ACCESSES: dict[str, Callable[[Any], Any]] = {
    "by position": lambda point: point(1, "a", ("b",)),
    "by name": lambda point: point(tags=("b",), x=1),
    "defaults": lambda point: point(1),
    "repr": lambda point: repr(point(1, "a")).partition("(")[2],
    "equal": lambda point: (point(1) == point(1), point(1) == point(2), point(1) == (1, "here", ())),
    "hash": lambda point: hash(point(1)),
    "unpacked": lambda point: [*point(1)],
    "made": lambda point: point._make(iter((1, "a", ()))),
    "replaced": lambda point: point(1)._replace(name="a", x=3),
    "as a dict": lambda point: point(1)._asdict(),
    "fields": lambda point: (point._fields, point._field_defaults, point.__match_args__, point.__slots__),
    "annotations": typing.get_type_hints,
    "documentation": lambda point: (point.__doc__, point.__name__[:0], point.__module__),
    "methods": lambda point: (point(4).doubled, point.at(2)),
    "copied": lambda point: (copy.copy(point(1)), copy.deepcopy(point(1, "a", ("b",)))),
    "pickled": lambda point: pickle.loads(pickle.dumps(point(1, "a"))),
    "attributes": lambda point: hasattr(point(1), "__dict__"),
    "type": lambda point: (type(point), issubclass(point, tuple)),
}


@pytest.mark.parametrize("access", ACCESSES.values(), ids=ACCESSES.keys())
def test_tuples_behave_like_those_of_the_standard_library(access: Callable[[Any], Any]) -> None:
    assert access(Ours) == access(Theirs)


FAULTS: dict[str, Callable[[Any], Any]] = {
    "a missing value": lambda point: point(),
    "an unknown field": lambda point: point(1, size=2),
    "too many values": lambda point: point(1, "a", (), 4),
    "a value twice": lambda point: point(1, x=2),
    "too few values to make": lambda point: point._make([1]),
    "an unknown field to replace": lambda point: point(1)._replace(size=2),
    "a changed field": lambda point: setattr(point(1), "x", 2),
    "a new attribute": lambda point: setattr(point(1), "size", 2),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_those_of_the_standard_library(fault: Callable[[Any], Any]) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)) as theirs:
        fault(Theirs)

    with pytest.raises(theirs.type):
        fault(Ours)


def test_a_fault_in_a_call_names_the_class() -> None:
    with pytest.raises(TypeError, match=r"Ours\.__new__\(\) missing 1 required positional argument: 'x'"):
        Ours()  # type: ignore[call-arg]


def test_tuples_match_patterns() -> None:
    match Ours(1, "a"):
        case Ours(x, name):
            assert (x, name) == (1, "a")


def test_a_tuple_may_have_no_fields() -> None:
    assert (Empty(), Empty._fields, repr(Empty())) == ((), (), "Empty()")


def test_a_subclass_may_have_attributes() -> None:
    point = WithCache(3)

    assert point.computed is point.computed == [3]
    assert (point, repr(point), type(point._replace(x=4))) == (
        (3, "here", ()),
        "WithCache(x=3, name='here', tags=())",
        WithCache,
    )


def test_fields_with_defaults_come_last() -> None:
    with pytest.raises(TypeError, match="a field of Point without a default follows one with a default"):

        class Point(tuples.NamedTuple):
            x: int = 0
            y: int  # type: ignore[misc]
