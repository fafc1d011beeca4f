"""Builds with exporters, compared with the same build without any. The receiver runs on this machine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.databuild_runs import Build, Graph
from benchmarks.processes import BrokenRunError, Run
from benchmarks.rows import Row
from benchmarks.session import Contestant, Measurement, Session
from benchmarks.shapes import Wide
from tools.python import child

SCENARIO: Final = "exporters"
NONE: Final = "no exporter"
WEBHOOK: Final = "notifications"
OTLP_HTTP: Final = "OpenTelemetry, HTTP"
OTLP_GRPC: Final = "OpenTelemetry, gRPC"
BES: Final = "Build Event Service"
OPENLINEAGE: Final = "OpenLineage"

EXPORTERS: Final = (WEBHOOK, OTLP_HTTP, OTLP_GRPC, BES, OPENLINEAGE)


class _ExportingBuild(Build):
    """A build from nothing with an exporter. It fails if not everything is sent."""

    def __init__(
        self, name: str, graph: Graph, parallelism: int, variables: Mapping[str, str], flags: Sequence[str] = ()
    ) -> None:
        super().__init__(graph, parallelism=parallelism, flags=("--exporter_failure=fail", *flags))
        self.name = name
        self._variables = variables

    def run(self, environment: Mapping[str, str]) -> Run:
        return super().run({**environment, **self._variables})


def compare_exporters(session: Session, _: Mapping[str, Measurement]) -> Iterator[Row]:
    """Builds a wide graph with each exporter, in turns; yields a row for each."""
    shape = Wide(width=session.sizes.exported_tasks)
    receiver = subprocess.Popen(
        child.command(str(Path(__file__).with_name("plain_receiver.py"))),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with receiver:
        assert receiver.stdout is not None
        line = receiver.stdout.readline()
        if not line:
            raise BrokenRunError("the receiver did not start")
        addresses = json.loads(line)

        def build(name: str, variables: Mapping[str, str], *flags: str) -> Contestant:
            folder = session.folder / SCENARIO / name.replace(" ", "-")
            graph = Graph(folder, shape, session.job, extensions=("bes", "openlineage", "otlp"))
            return _ExportingBuild(name, graph, session.parallelism, variables, flags)

        otlp = "--exporter=otlp:"
        http = {"OTEL_EXPORTER_OTLP_ENDPOINT": addresses["http"]}
        grpc = {"OTEL_EXPORTER_OTLP_ENDPOINT": addresses["grpc"], "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        contestants = [
            build(NONE, {}),
            build(WEBHOOK, {}, f"--notify={addresses['http']}/hook", "--notify_on=end"),
            build(OTLP_HTTP, http, otlp),
            build(OTLP_GRPC, grpc, otlp),
            build(BES, {}, f"--exporter=bes:{addresses['grpc'].replace('http:', 'grpc:')}"),
            build(OPENLINEAGE, {"OPENLINEAGE_URL": addresses["http"]}, "--exporter=openlineage:"),
        ]
        for measurement in session.measure(SCENARIO, contestants):
            yield Row(
                scenario=SCENARIO,
                size=shape.size,
                name=measurement.name,
                tasks=shape.tasks,
                processes=measurement.processes,
                seconds=measurement.seconds,
                median_seconds=measurement.median_seconds,
                peak_memory_bytes=measurement.peak_memory_bytes,
            )
        receiver.communicate(b"")
