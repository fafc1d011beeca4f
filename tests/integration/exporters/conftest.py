"""A graph of two jobs with exporters, and receivers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checked_receivers import RECEIVERS, CheckedReceiver
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.script_graph import ScriptGraph


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    receiver = OtlpReceiver()
    yield receiver
    receiver.close()


@pytest.fixture(params=RECEIVERS)
def any_receiver(request: pytest.FixtureRequest) -> Iterator[CheckedReceiver]:
    """Returns the receiver of each exporter in turn."""
    receiver = RECEIVERS[request.param]()
    yield receiver
    receiver.close()


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[ScriptGraph]:
    graph = ScriptGraph(tmp_path, default_partitions=("sum/ab_c",), slow=True)
    graph.write_catalog(exporters=["otlp:"], extensions={"otlp": {}})
    script = tmp_path / "number"
    script.write_text(script.read_text().replace('echo "making $name"', 'echo "making $name in $TRACEPARENT"'))
    yield graph
    graph.close()
