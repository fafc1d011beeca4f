"""`explain` says what has changed in the schema of data since the run before."""

from __future__ import annotations

from tests.support.script_graph import NUMBER, ScriptGraph

_METADATA = '{\\"length\\": ${#name}}'


def _report_schema(graph: ScriptGraph, *columns: str) -> None:
    """Lets the job `number` report columns, all of one type."""
    pairs = ", ".join(f'[\\"{column}\\", \\"INTEGER\\"]' for column in columns)
    program = NUMBER.replace(_METADATA, f'{{\\"columns\\": {{\\"$type\\": \\"schema\\", \\"columns\\": [{pairs}]}}}}')
    assert program != NUMBER
    (graph.folder / "number").write_text(program.replace("$type", "\\$type"))


def test_a_changed_schema_is_explained(graph: ScriptGraph) -> None:
    _report_schema(graph, "a", "b")
    graph("build", "number/ab", "--build_request_id=first")
    before = graph("explain", "number/ab")[1]
    _report_schema(graph, "a", "c")
    graph("build", "number/ab", "--force")
    _, after, _ = graph("explain", "number/ab")

    assert "schema  " not in before
    assert "schema     column c (INTEGER) is new (since first.1.1)\n" in after
    assert "schema     column b (INTEGER) is gone (since first.1.1)\n" in after
    assert graph.json("explain", "number/ab")[1]["schema"]["since"] == "first.1.1"
