"""Whole graphs as Mermaid, DOT and SVG."""

from __future__ import annotations

from databuild.graph.graph_rendering import graph_as_dot, graph_as_mermaid, graph_as_svg, states_of
from databuild.model.graph_messages import graph_from_message, graph_to_message
from databuild.model.graph_view import GraphEdge, GraphJob, GraphView, PartitionCounts
from tests.support.drawn import SVG, of_class, parse, texts, titles

VIEW = GraphView(
    "//:g",
    (
        GraphJob("//:balance", ("balance/{date:date}",), declared=True),
        GraphJob("//:moves", ("moves/{date:date}", "log/{date:date}"), declared=False),
    ),
    (
        GraphEdge("//:moves", "", "//:balance", "INPUT", "moves/{date}", "{date}"),
        GraphEdge("//:balance", "", "//:balance", "OPTIONAL", "balance/{date-1}", "{date-1}"),
        GraphEdge("", "votes/{*}", "//:balance", "QUERY", "votes/{*}", "{*}"),
        GraphEdge("//:moves", "", "//:balance", "QUERY", "moves/{date-7}", "{date-7}"),
    ),
)
COUNTS = PartitionCounts({"AVAILABLE": 1200, "FAILED": 2, "SCHEDULED": 5, "TAINTED": 1})


def with_text(text: str) -> GraphView:
    """Returns a graph with a text in every place that users can write to."""
    job = GraphJob(f"//:{text}", (f"{text}/x",), declared=False)
    return GraphView(
        f"//:{text}",
        (job,),
        (
            GraphEdge("", f"raw/{text}", job.job_label, "QUERY", text, text),
            GraphEdge(job.job_label, "", job.job_label, "INPUT", text, text),
        ),
    )


def test_mermaid_has_jobs_external_inputs_and_mappings() -> None:
    assert graph_as_mermaid(VIEW) == (
        "flowchart LR\n"
        '  j1["//:balance<br/>balance/{date:date}"]\n'
        '  j2["//:moves<br/>moves/{date:date}<br/>log/{date:date}<br/>inputs known when planned"]\n'
        '  x1(["votes/{*}<br/>external input"])\n'
        '  j2 -->|"{date}, {date-7} query"| j1\n'
        '  j1 -.->|"{date-1} optional"| j1\n'
        '  x1 -.->|"{*} query"| j1\n'
    )


def test_dot_has_jobs_external_inputs_and_mappings() -> None:
    assert graph_as_dot(VIEW) == (
        "digraph {\n"
        "  rankdir=LR; node [shape=box];\n"
        '  j1 [label="//:balance\\nbalance/{date:date}"];\n'
        '  j2 [label="//:moves\\nmoves/{date:date}\\nlog/{date:date}\\ninputs known when planned"];\n'
        '  x1 [label="votes/{*}\\nexternal input", style=dashed];\n'
        '  j2 -> j1 [label="{date}, {date-7} query"];\n'
        '  j1 -> j1 [label="{date-1} optional", style=dashed];\n'
        '  x1 -> j1 [label="{*} query", style=dotted];\n'
        "}\n"
    )


def test_svg_has_jobs_external_inputs_and_mappings() -> None:
    root = parse(graph_as_svg(VIEW))

    assert root[0].text == "Graph //:g"
    assert root[1].text == "2 jobs, 1 external input; dotted: optional, only read, or recorded by builds"
    assert titles(of_class(root, "node")) == [
        "votes/{*}: external input, which no job of the graph produces",
        "//:balance: balance/{date:date}; from itself: {date-1} optional",
        "//:moves: moves/{date:date}, log/{date:date}; inputs known when planned",
    ]
    assert titles(of_class(root, "mapping")) == [
        "//:moves to //:balance: {date}, {date-7} query",
        "votes/{*} to //:balance: {*} query",
    ]
    assert "from itself: {date-1} optional" in texts(root)
    assert not of_class(root, "glyph")


def test_svg_has_counts_and_links_where_they_are_given() -> None:
    jobs = tuple(job._replace(counts=COUNTS) for job in VIEW.jobs)

    root = parse(graph_as_svg(VIEW._replace(jobs=jobs), link=lambda label: f"/job?label={label}", style=False))

    assert [link.get("href") for link in root.iter(f"{SVG}a")] == ["/job?label=//:balance", "/job?label=//:moves"]
    assert titles(of_class(root, "state-failed"))[0].endswith("2 failed, 1 tainted, 5 pending, 1,200 available")
    assert not root.findall(f".//{SVG}style")


def test_states_of_statuses_add_up() -> None:
    assert states_of({"AVAILABLE": 1, "DELEGATED": 2, "REQUESTED": 3, "SCHEDULED": 4, "BUILDING": 5}) == {
        "available": 3,
        "pending": 7,
        "building": 5,
    }


def test_quotes_and_markup_of_users_stay_text_in_every_format() -> None:
    hostile = '"]; <b>#x\\|end'
    view = with_text(hostile)

    mermaid, dot = graph_as_mermaid(view), graph_as_dot(view)
    svg = parse(graph_as_svg(view))

    assert "#quot;]; #lt;b#gt;#35;x\\|end" in mermaid
    assert all(line.count('"') == 2 for line in mermaid.splitlines()[1:])
    assert '\\"]; <b>#x\\\\|end' in dot
    assert [line[-2:] for line in dot.splitlines()[2:-1]] == ["];"] * 4
    assert "<b>" in titles(of_class(svg, "mapping"))[0]


def test_a_graph_without_jobs_is_drawn_in_every_format() -> None:
    empty = GraphView("//:g", (), ())

    assert graph_as_mermaid(empty) == "flowchart LR\n"
    assert graph_as_dot(empty).endswith("}\n")
    assert parse(graph_as_svg(empty))[1].text == "0 jobs"


def test_a_message_has_the_whole_graph() -> None:
    jobs = (VIEW.jobs[0]._replace(counts=COUNTS._replace(complete=False)), VIEW.jobs[1])
    recorded = GraphEdge("//:balance", "", "//:moves", "RECORDED")
    view = VIEW._replace(jobs=jobs, edges=(*VIEW.edges, recorded))

    assert graph_from_message(graph_to_message(view)) == view
