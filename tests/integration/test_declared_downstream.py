"""Dependents of partitions by declared inputs, through every front end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from databuild.client import DatabuildClient
from databuild.errors import InvalidRequestError
from databuild.model.views import DeclaredDependent, DeclaredDependents
from tests.support.script_graph import ScriptGraph

JOBS = ("//numbers:number", "//numbers:sum")
ROWS = (
    DeclaredDependent("{who}/double/one", 1, "//numbers:double", "INPUT", "number/{name}"),
    DeclaredDependent("day/2013-01-01..2013-12-31", 2, "//numbers:day", "QUERY", "ann/double/{*}"),
)


@pytest.fixture
def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptGraph]:
    monkeypatch.chdir(tmp_path)
    graph = ScriptGraph(tmp_path)
    for name, output, declaration in (
        ("double", "{who}/double/{name}", {"inputs": ["number/{name}"]}),
        ("day", "day/{date:date}", {"query_inputs": ["ann/double/{*}"], "bounds": {"date": "2013-01-01..2013-12-31"}}),
    ):
        job = {**graph.jobs[0], "label": f"//numbers:{name}", "outputs": [output], "declaration": declaration}
        graph.jobs.append(job)
    graph.write_catalog()
    yield graph
    graph.close()


def test_the_command_prints_both_sections(graph: ScriptGraph) -> None:
    graph("build", "sum/one_two")

    code, out, err = graph("downstream", "number/one")

    assert code == 0
    assert [line.split() for line in out.splitlines() if line] == [
        ["recorded:", "current", "data", "that", "was", "made", "from", "them"],
        ["PARTITION", "STEPS", "MADE", "FROM", "STATUS", "DATA"],
        ["sum/one_two", "1", "number/one", "AVAILABLE", "yes"],
        ["declared:", "outputs", "that", "a", "build", "would", "make", "from", "them"],
        ["PARTITIONS", "STEPS", "JOB", "INPUT"],
        ["{who}/double/one", "1", "//numbers:double", "number/{name}"],
        ["day/2013-01-01..2013-12-31", "2", "//numbers:day", "ann/double/{*}", "(QUERY)"],
        f"unknown before a build: the inputs of 2 jobs with config ({', '.join(JOBS)})".split(),
    ]
    assert "1 partition in 1 step" in err


def test_the_command_says_if_there_are_more(graph: ScriptGraph) -> None:
    out, err = graph("downstream", "number/one", "--limit=1")[1:]

    assert "{who}/double/one" in out
    assert "day/" not in out
    assert "more declared partitions" in err
    assert "more declared partitions" not in graph("downstream", "number/one", "--direct")[2]


def test_every_front_end_gives_the_same_answer(graph: ScriptGraph) -> None:
    graph("build", "sum/one_two")
    service = graph.serve()
    server = f"--server={service.addresses['grpc']}"
    expected = DeclaredDependents(ROWS, complete=True, undeclared_jobs=JOBS)

    for flags in ([], ["--limit=1"], ["--direct"], ["--output=json"], ["number/two", "no/job"]):
        assert graph("downstream", "number/one", *flags, server) == graph("downstream", "number/one", *flags)
    assert graph("downstream", "number/../x", server)[0] == graph("downstream", "number/../x")[0] == 2
    _, result = graph.json("downstream", "number/one")
    assert result["declared"] == {
        "dependents": [row._asdict() for row in ROWS],
        "complete": True,
        "undeclared_jobs": list(JOBS),
    }
    with DatabuildClient(service.addresses["grpc"]) as client:
        assert client.declared_downstream(["number/one"], transitive=True) == expected
        assert client.declared_downstream(["number/one"]).dependents == ROWS[:1]
        assert not client.declared_downstream(["number/one"], transitive=True, limit=1).complete
        with pytest.raises(InvalidRequestError, match="name at least one"):
            client.declared_downstream([])
    status, answer = service.ask("GET", "/api/v1/partition/declared_downstream?partitions=number/one&transitive=true")
    assert status == 200
    assert [row["partitions"] for row in answer["dependents"]] == [row.partitions for row in ROWS]
    assert [row["kind"] for row in answer["dependents"]] == ["KIND_INPUT", "KIND_QUERY"]
    assert answer["undeclared_job_labels"] == list(JOBS)
