"""Scenarios that are run through any front end over any event log, to compare what they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

import pytest

from tests.postgresql import server as postgresql
from tests.support.command_line_ways import StartedCommandLine
from tests.support.scenarios import Left
from tests.support.ways import Way

STORES: Final = ("sqlite", "postgresql")

_Step = TypeVar("_Step")
_Left = TypeVar("_Left", bound=Left)


class Stage(Generic[_Step, _Left]):
    """Runs scenarios, each in a workspace of its own."""

    def __init__(self, leave: Callable[[Way, list[_Step]], _Left], folders: pytest.TempPathFactory) -> None:
        """Runs nothing yet.

        Args:
            leave: Reads what a scenario has left, from the front end and the steps of the scenario.
            folders: Makes the workspaces.
        """
        self._leave = leave
        self._folders = folders
        self._server: postgresql.Server | None = None
        self._expected: dict[Callable[[Way], Iterator[_Step]], _Left] = {}

    def play(self, kind: type[Way], store: str, scenario: Callable[[Way], Iterator[_Step]]) -> _Left:
        """Runs a scenario through one front end over one event log."""
        folder = self._folders.mktemp("workspace")
        uri = self._new_database() if store == "postgresql" else f"sqlite:{folder}/events.db"
        way = kind(folder, uri)
        try:
            return self._leave(way, list(scenario(way)))
        finally:
            way.close()

    def expected(self, scenario: Callable[[Way], Iterator[_Step]]) -> _Left:
        """Runs a scenario on the command line over SQLite, once.

        Its processes are not forked: in these, sets of texts would have the same order as in all others.
        """
        if scenario not in self._expected:
            self._expected[scenario] = self.play(StartedCommandLine, "sqlite", scenario)
        return self._expected[scenario]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def _new_database(self) -> str:
        if self._server is None:
            self._server = postgresql.Server()
        return self._server.new_database()
