"""The engines of a process: each is opened once, and no other is."""

from __future__ import annotations

import pytest

from databuild.errors import InvalidRequestError
from databuild.executors.engines import Engines, no_engines
from databuild.executors.registry import ExecutorOptions, check_extension, open_executor
from tests.support.fake_engine import URI, FakeEngine, FakeRemoteExecutor


async def test_an_engine_is_opened_once_and_closed_with_the_others() -> None:
    opened: list[FakeRemoteExecutor] = []

    def open_one(_uri: str) -> FakeRemoteExecutor:
        opened.append(FakeRemoteExecutor(FakeEngine()))
        return opened[-1]

    engines = Engines([URI, "local"], open_one)

    assert engines.get(URI) is engines.get(URI)
    engines.leave()
    await engines.close()
    assert [(executor.left, executor.closed) for executor in opened] == [(True, True)]


def test_this_machine_is_no_engine() -> None:
    assert no_engines().get("") is no_engines().get("local") is None
    assert not no_engines().uses("local")


def test_an_engine_that_nobody_named_is_refused() -> None:
    engines = Engines([URI], lambda _uri: FakeRemoteExecutor(FakeEngine()))

    assert not engines.uses("dask://other:1")
    with pytest.raises(
        InvalidRequestError, match=r"'dask://other:1' is not in use here; there is dask://engine:1, local"
    ):
        engines.get("dask://other:1")


def test_an_extension_that_the_graph_lacks_is_refused_with_the_attribute_that_adds_it() -> None:
    with pytest.raises(InvalidRequestError, match=r"add executors = \['dask'\] to its databuild_graph"):
        check_extension(URI, {"reapi"})
    with pytest.raises(InvalidRequestError, match="add executors"):
        open_executor(URI, ExecutorOptions(), {})
    check_extension(URI, {"dask"})
    check_extension("local", ())
