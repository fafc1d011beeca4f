"""Jobs that report missing inputs: the build makes these, and runs the jobs again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.script_graph import NUMBER, SUM, ScriptGraph

REPORTS_MISSING = r"""
for name in "${names[@]}" ${undeclared:-}; do
  if [[ ! -e "data/number-$name" ]]; then
    echo "{\"missing\": {\"ref\": \"number/$name\"}}" >>"$DATABUILD_REPORT"
    gone=yes
  fi
done
if [[ "${gone:-}" ]]; then exit EXIT_CODE; fi
total=0
"""


@pytest.fixture
def graph(graph: ScriptGraph) -> ScriptGraph:
    """Returns a graph whose sums report numbers that they do not find; one sum is built."""
    write_sum(graph)
    assert graph("build", "sum/a_bb")[0] == 0
    return graph


def write_sum(graph: ScriptGraph, exit_code: int = 5, before: str = "") -> None:
    """Writes the program of sums, with commands that it runs before it looks for numbers."""
    reports = REPORTS_MISSING.replace("EXIT_CODE", str(exit_code))
    reads = 'IFS=_ read -ra names <<<"$2"\n'
    text = SUM.replace(reads + "for", f"{reads}{before}\n{reports}\nfor").replace("\ntotal=0\nIFS", "\nIFS", 1)
    (graph.folder / "sum").write_text(text)


def data(graph: ScriptGraph, name: str) -> Path:
    return graph.folder / "data" / f"number-{name}"


@pytest.mark.parametrize("exit_code", [0, 5])
def test_a_reported_input_is_made_and_the_task_runs_again(graph: ScriptGraph, exit_code: int) -> None:
    write_sum(graph, exit_code)
    data(graph, "bb").unlink()

    code, out, err = graph("build", "sum/bb_ccc")

    assert code == 0, err
    assert (graph.folder / "data" / "sum-bb_ccc").read_text() == "5\n"
    assert "built 3 partitions" in out
    events = graph("events")[1]
    assert "MISSING_DATA: the input 'number/bb' is missing; next attempt when the input has been rebuilt" in events
    assert "SCHEDULED  number/bb  (LOST)" in events
    assert graph("events", "verify")[0] == 0
    assert "(up to date)" in graph("explain", "sum/bb_ccc")[1]


def test_an_output_of_the_same_build_may_be_lost(graph: ScriptGraph) -> None:
    write_sum(graph, before="if [[ ! -e once ]]; then touch once; rm data/number-ccc; fi")

    code, _, err = graph("build", "sum/ccc_dddd")

    assert code == 0, err
    assert (graph.folder / "data" / "sum-ccc_dddd").read_text() == "7\n"
    assert graph("events", "verify")[0] == 0
    assert "(up to date)" in graph("explain", "sum/ccc_dddd")[1]


def test_an_input_that_was_not_declared_is_made(graph: ScriptGraph) -> None:
    write_sum(graph, before="undeclared=eeeee")

    code, _, err = graph("build", "sum/a_bb", "--force")

    assert code == 0, err
    assert data(graph, "eeeee").exists()
    inputs = graph.json("explain", "sum/a_bb")[1]["record"]["manifest"]["inputs"]
    assert [(one["ref"], one["query"]) for one in inputs] == [
        ("number/a", False),
        ("number/bb", False),
        ("number/eeeee", True),
    ]
    assert "(up to date)" in graph("explain", "sum/a_bb")[1]
    assert graph("events", "verify")[0] == 0


def test_an_input_is_made_once_for_each_task(graph: ScriptGraph) -> None:
    write_sum(graph, before="rm -f data/number-bb")

    code, _, err = graph("build", "sum/bb_ccc")

    assert code == 1
    assert "'number/bb' was rebuilt, and //numbers:sum reports again that it is missing" in err + graph("events")[1]
    assert graph("events", "verify")[0] == 0


def test_an_input_that_nobody_makes_fails_the_task(graph: ScriptGraph) -> None:
    write_sum(graph, before=r"""echo '{"missing": {"ref": "elsewhere/x"}}' >>"$DATABUILD_REPORT"; exit 0""")

    code, _, _ = graph("build", "sum/ccc_dddd")

    assert code == 1
    assert "'elsewhere/x' is missing, and cannot be made" in graph("events")[1]
    assert graph("events", "verify")[0] == 0


def test_a_circle_of_reports_ends_with_an_error_that_shows_it(graph: ScriptGraph) -> None:
    write_sum(graph, before="rm -f data/number-ccc")
    number = NUMBER.replace(
        "mkdir -p data",
        r"""if [[ "$name" == ccc && -e loop ]]; then
  echo '{"missing": {"ref": "sum/ccc_dddd"}}' >>"$DATABUILD_REPORT"; exit 0
fi
touch loop
mkdir -p data""",
    )
    (graph.folder / "number").write_text(number)

    code, _, _ = graph("build", "sum/ccc_dddd", "--jobs=1")

    assert code == 1
    assert "these partitions need each other: number/ccc -> sum/ccc_dddd -> number/ccc" in graph("events")[1]
    assert graph("events", "verify")[0] == 0


def test_a_report_about_an_output_is_refused(graph: ScriptGraph) -> None:
    write_sum(graph, before=r"""echo '{"missing": {"ref": "sum/ccc_d"}}' >>"$DATABUILD_REPORT"; exit 0""")

    assert graph("build", "sum/ccc_d")[0] == 1
    assert "which is not an input of this job run" in graph("events")[1]
