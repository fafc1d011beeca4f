"""Builds with exporters, compared with the same build without any. The receiver runs on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from benchmarks.c_programs import compile_program
from benchmarks.databuild_runs import Build, Graph
from benchmarks.processes import BrokenRunError, Run
from benchmarks.rows import Row
from benchmarks.session import Contestant, Measurement, Session
from benchmarks.shapes import Wide

SCENARIO: Final = "exporters"
NONE: Final = "no exporter"
WEBHOOK: Final = "notifications"
OTLP_HTTP: Final = "OpenTelemetry, HTTP"
OTLP_GRPC: Final = "OpenTelemetry, gRPC"
BES: Final = "Build Event Service"
OPENLINEAGE: Final = "OpenLineage"
OPENLINEAGE_EACH: Final = "OpenLineage, a request each"

EXPORTERS: Final = (WEBHOOK, OTLP_HTTP, OTLP_GRPC, BES, OPENLINEAGE, OPENLINEAGE_EACH)


class _Receiver:
    """The receiver: a C program that takes little of the processors, as one on another machine would take nothing."""

    def __init__(self, input_stream: IO[bytes], output: IO[bytes]) -> None:
        self._input = input_stream
        self._output = output
        self.port = self._number()

    def take(self) -> int:
        """Returns the number of requests, of messages of gRPC, and of run events in batches since the last call."""
        self._input.write(b"\n")
        self._input.flush()
        return self._number()

    def _number(self) -> int:
        line = self._output.readline()
        if not line:
            raise BrokenRunError("the receiver of the exporters has ended")
        return int(line)


class _ExportingBuild(Build):
    """A build from nothing with an exporter. It fails if not everything is sent."""

    def __init__(
        self,
        name: str,
        graph: Graph,
        parallelism: int,
        receiver: _Receiver,
        *,
        min_messages: int,
        variables: Mapping[str, str],
        flags: Sequence[str],
    ) -> None:
        super().__init__(graph, parallelism=parallelism, flags=("--exporter_failure=fail", *flags))
        self.name = name
        self._receiver = receiver
        self._min_messages = min_messages
        self._variables = variables

    def run(self, environment: Mapping[str, str]) -> Run:
        self._receiver.take()
        run = super().run({**environment, **self._variables})
        received = self._receiver.take()
        if received < self._min_messages:
            raise BrokenRunError(f"{self.name} sent {received} messages, and not at least {self._min_messages}")
        return run


def compare_exporters(session: Session, _: Mapping[str, Measurement]) -> Iterator[Row]:
    """Builds a wide graph with each exporter, in turns; yields a row for each, and none without a C compiler."""
    shape = Wide(width=session.sizes.exported_tasks)
    program = session.folder / "plain_receiver"
    if not compile_program("plain_receiver.c", program, options=("-pthread",)):
        return
    process = subprocess.Popen([str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        receiver = _Receiver(process.stdin, process.stdout)
        url = f"http://127.0.0.1:{receiver.port}"

        def build(name: str, min_messages: int, variables: Mapping[str, str], *flags: str) -> Contestant:
            return _ExportingBuild(
                name,
                _graph(session, shape, name),
                session.parallelism,
                receiver,
                min_messages=min_messages,
                variables=variables,
                flags=flags,
            )

        otlp = "--exporter=otlp:"
        http = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
        grpc = {**http, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        bes = f"--exporter=bes:grpc://127.0.0.1:{receiver.port}"
        lineage = {"OPENLINEAGE_URL": url}
        each = {"OPENLINEAGE_ENDPOINT": "single/lineage"}
        run_events = 2 * (shape.tasks + 1)
        contestants = [
            build(NONE, 0, {}),
            build(WEBHOOK, 1, {}, f"--notify={url}/hook", "--notify_on=end"),
            build(OTLP_HTTP, 2, http, otlp),
            build(OTLP_GRPC, 2, grpc, otlp),
            build(BES, shape.tasks, {}, bes),
            build(OPENLINEAGE, run_events, lineage, "--exporter=openlineage:"),
            build(OPENLINEAGE_EACH, run_events, lineage | each, "--exporter=openlineage:"),
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
        process.stdin.close()


def _graph(session: Session, shape: Wide, name: str) -> Graph:
    folder: Path = session.folder / SCENARIO / name.replace(" ", "-")
    return Graph(folder, shape, session.job, extensions=("bes", "openlineage", "otlp"))
