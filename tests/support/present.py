"""Values that must not be None."""

from __future__ import annotations

from typing import TypeVar

_T = TypeVar("_T")


def present(value: _T | None) -> _T:
    """Returns a value; fails the test if it is None."""
    assert value is not None
    return value
