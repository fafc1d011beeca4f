"""Parity of executors: a build of any front end leaves the same on an engine as on this machine.

Only the events that tell of the engine differ, and what a run on an engine without live logs has printed before it was
cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from tests.engines.casd import Casd
from tests.engines.cluster import Cluster
from tests.support.command_line_ways import CommandLine, Server, StartedCommandLine
from tests.support.scenarios import OUTCOMES, SCENARIOS, Left, Scenario, lost
from tests.support.ways import Client, Grpc, Http, Way

# Without the ways with workers, which an engine does not use.
WAYS_ON_ENGINES: Sequence[tuple[str, type[Way]]] = (
    *(("dask", way) for way in (CommandLine, Server, Grpc, Http, Client)),
    *(("reapi", way) for way in (CommandLine, Client)),
)
# On an engine, a reported path is no location: it may be one of another machine.
ON_ENGINES = [scenario for scenario in SCENARIOS if scenario is not lost]


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Returns the addresses of real engines, by scheme."""
    cluster = Cluster()
    casd = Casd(mounts=[str(tmp_path_factory.getbasetemp())])
    yield {"dask": cluster.uri, "reapi": casd.uri}
    casd.close()
    cluster.close()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Scenario], Left]:
    """Returns a function that runs a scenario on this machine, once."""
    played: dict[Scenario, Left] = {}

    def expected(scenario: Scenario) -> Left:
        if scenario not in played:
            folder = tmp_path_factory.mktemp("workspace")
            way = StartedCommandLine(folder, f"sqlite:{folder}/events.db")
            played[scenario] = Left(way, list(scenario(way)))
            way.close()
        return played[scenario]

    return expected


def output(left: Left, engine: str) -> dict[str, str]:
    """Returns what job runs have printed, apart from what the engine does not deliver."""
    logs = {name: text for name, text in left.logs.items() if not name.endswith(".report")}
    cancelled = {name for name in logs if name.startswith("cancelled/")} if engine == "reapi" else set()
    return {name: text for name, text in logs.items() if name not in cancelled}


@pytest.mark.parametrize(("engine", "kind"), WAYS_ON_ENGINES, ids=lambda value: getattr(value, "__name__", value))
@pytest.mark.parametrize("scenario", ON_ENGINES, ids=lambda scenario: scenario.__name__)
def test_an_engine_leaves_the_same_as_this_machine(
    engines: Mapping[str, str],
    expected: Callable[[Scenario], Left],
    tmp_path_factory: pytest.TempPathFactory,
    scenario: Scenario,
    engine: str,
    kind: type[Way],
) -> None:
    folder = tmp_path_factory.mktemp("workspace")
    way = kind(folder, f"sqlite:{folder}/events.db", engines[engine])
    try:
        left, wanted = Left(way, list(scenario(way))), expected(scenario)
    finally:
        way.close()

    assert left.codes == OUTCOMES[scenario][0]
    assert left.events == wanted.events
    assert left.records == wanted.records
    assert left.data == wanted.data
    assert left.faults == ()
    assert output(left, engine) == output(wanted, engine)
