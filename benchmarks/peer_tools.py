"""Workflow tools in Python, which run the same graphs with the same commands and parallelism.

They are installed in a venv of their own (tools/dev/peers_venv.sh), and each is used as its documentation shows, on one
machine and without a service. They keep different records: Dask none, Luigi and Snakemake an empty file for each task,
doit a database of finished tasks, and Dagster and Prefect the history of each task in SQLite, as DataBuild does.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.databuild_runs import BUILD, BUILD_AGAIN, Build, Graph
from benchmarks.processes import BrokenRunError, Run, run_process
from benchmarks.raw_limit import RAW_LIMIT, RawLimit
from benchmarks.rows import Row
from benchmarks.session import Contestant, Measurement, Session
from benchmarks.shapes import Chain, Layers, Shape, Wide, request_of

SCENARIO: Final = "peers"

_PROGRAMS: Final = Path(__file__).parent / "peers"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PeerTool:
    """A workflow tool.

    Attributes:
        name: The name of its row.
        package: The package that it needs.
        arguments: Its command line after the Python of the venv. `{programs}`, `{jobs}` and `{last}` are the folder of
            our programs, the parallelism and the name of the last ref.
        is_slow: True if it runs the smaller graphs only.
    """

    name: str
    package: str
    arguments: tuple[str, ...]
    is_slow: bool = False


_SNAKEMAKE: Final = ("-s", "{programs}/Snakefile", "-j", "{jobs}", "--quiet", "all", "--", "made/{last}")
PEER_TOOLS: Final = (
    PeerTool(name="Dask, threads", package="distributed", arguments=("-m", "benchmarks.peers.run_dask")),
    PeerTool(
        name="Dask, distributed", package="distributed", arguments=("-m", "benchmarks.peers.run_dask", "distributed")
    ),
    PeerTool(
        name="doit",
        package="doit",
        arguments=("-m", "doit", "-f", "{programs}/dodo.py", "-d", ".", "-n", "{jobs}", "-P", "thread"),
    ),
    PeerTool(name="Luigi", package="luigi", arguments=("-m", "benchmarks.peers.run_luigi")),
    PeerTool(name="Snakemake", package="snakemake", arguments=("-m", "snakemake", *_SNAKEMAKE), is_slow=True),
    PeerTool(name="Prefect", package="prefect", arguments=("-m", "benchmarks.peers.run_prefect"), is_slow=True),
    PeerTool(
        name="Dagster, in process", package="dagster", arguments=("-m", "benchmarks.peers.run_dagster"), is_slow=True
    ),
)


def installed_peers(venv: Path | None) -> list[PeerTool]:
    """Returns the tools in a venv.

    Raises:
        BrokenRunError: There are none.
    """
    packages = venv.glob("lib/python*/site-packages/*") if venv is not None else ()
    names = {path.name for path in packages}
    tools = [tool for tool in PEER_TOOLS if tool.package in names]
    if not tools:
        raise BrokenRunError(f"no other tools are installed in {venv}; run tools/dev/peers_venv.sh, and give --peers")
    return tools


class PeerRun:
    """Runs a graph by a tool, from nothing but the database that the tool has created in its first run."""

    def __init__(self, tool: PeerTool, venv: Path, folder: Path, shape: Shape, session: Session) -> None:
        """Writes the graph.

        Args:
            tool: The tool.
            venv: The venv with its package.
            folder: The folder for everything, which is created.
            shape: The graph.
            session: The session.
        """
        self.name = tool.name
        self._folder = folder
        last = request_of(shape).replace("/", "_")
        words = {"programs": _PROGRAMS, "jobs": session.parallelism, "last": last}
        self._argv = [str(venv / "bin/python"), *(argument.format(**words) for argument in tool.arguments)]
        (folder / "home").mkdir(parents=True)
        tasks = [{"ref": ref, "inputs": list(shape.inputs(ref))} for ref in shape.refs()]
        graph = {"job": session.job.path, "parallelism": session.parallelism, "tasks": tasks}
        (folder / "graph.json").write_text(json.dumps(graph))

    def run(self, environment: Mapping[str, str]) -> Run:
        work = self._folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        home = str(self._folder / "home")
        variables = {
            **environment,
            "BENCHMARK_GRAPH": str(self._folder / "graph.json"),
            "DAGSTER_HOME": home,
            "DO_NOT_TRACK": "1",
            "HOME": home,
            "PREFECT_HOME": home,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
            "PYTHONPATH": str(_PROGRAMS.parents[1]),
        }
        argv = ("/bin/sh", "-c", 'cd "$0" && exec "$@"', str(work), *self._argv)
        return run_process(argv, variables, self._folder / "output")


def compare_peers(session: Session, start_up: Mapping[str, Measurement]) -> Iterator[Row]:
    """Runs wide and layered graphs by each installed tool and by DataBuild, in turns, and yields their rows.

    Raises:
        BrokenRunError: No tool is installed.
    """
    tools = installed_peers(session.peers)
    assert session.peers is not None
    folder = session.folder / SCENARIO
    one = Chain(length=1, name=f"{SCENARIO}: start-up")
    ones = session.measure(
        one.name, [PeerRun(tool, session.peers, folder / "one" / tool.name, one, session) for tool in tools]
    )
    start_ups = {measured.name: measured.seconds for measured in ones}
    yield from (_row(one, measured) for measured in ones)
    start_ups |= {BUILD: start_up[BUILD_AGAIN].seconds, RAW_LIMIT: 0.0}
    for number, (height, width) in enumerate(session.sizes.peers):
        chosen = [tool for tool in tools if not number or not tool.is_slow]
        shapes: tuple[Shape, ...] = (
            Wide(width=height * width, name=f"{SCENARIO}: wide"),
            Layers(height=height, width=width, name=f"{SCENARIO}: layers"),
        )
        for shape in shapes:
            place = folder / f"{shape.name.rpartition(' ')[2]}-{shape.size}"
            graph = Graph(place / "databuild", shape, session.job)
            contestants: list[Contestant] = [
                RawLimit(shape, session.job, session.parallelism),
                Build(graph, parallelism=session.parallelism),
                *(PeerRun(tool, session.peers, place / tool.name, shape, session) for tool in chosen),
            ]
            yield from _rows(shape, session.measure(f"{shape.name} {shape.size:,}", contestants), start_ups)


def _rows(shape: Shape, measurements: Sequence[Measurement], start_ups: Mapping[str, float]) -> Iterator[Row]:
    raw, databuild = measurements[0].seconds, measurements[1].seconds
    for measured in measurements:
        added = measured.seconds - start_ups[measured.name] - raw
        yield dataclasses.replace(
            _row(shape, measured),
            raw_ratio=measured.seconds / raw,
            databuild_ratio=measured.seconds / databuild,
            added_ms=added / shape.tasks * 1e3 if measured.name != RAW_LIMIT else None,
        )


def _row(shape: Shape, measured: Measurement) -> Row:
    return Row(
        scenario=shape.name,
        size=shape.size,
        name=measured.name,
        tasks=shape.tasks,
        processes=measured.processes,
        seconds=measured.seconds,
        median_seconds=measured.median_seconds,
        cpu_seconds=measured.cpu_seconds or None,
        peak_memory_bytes=measured.peak_memory_bytes or None,
    )
