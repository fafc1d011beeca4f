"""Results of functions that planning calls again and again with the same few arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

_MAX_RESULTS: Final = 4096

T = TypeVar("T")


class Memo(dict[str, T]):
    """The results of a function: `memo[argument]`. One that is kept takes no call of a Python function.

    A limited number of results is kept.
    """

    def __init__(self, function: Callable[[str], T], *, keeps: Callable[[T], bool] = lambda _: True) -> None:
        """Computes nothing yet.

        Args:
            function: Computes a result.
            keeps: Returns False for a result that is too large to be kept.
        """
        super().__init__()
        self._function = function
        self._keeps = keeps

    def __missing__(self, argument: str) -> T:
        result = self._function(argument)
        if self._keeps(result):
            if len(self) >= _MAX_RESULTS:
                self.clear()
            self[argument] = result
        return result
