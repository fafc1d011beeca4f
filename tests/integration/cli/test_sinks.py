"""Copies of events in sinks, and the errors of sinks."""

from __future__ import annotations

from tests.support.script_graph import ScriptGraph


def test_events_go_to_sinks_too(graph: ScriptGraph) -> None:
    graph("build", "--event_sink=jsonl:events.jsonl")

    lines = (graph.folder / "events.jsonl").read_text().splitlines()
    assert "BUILD_STATUS_COMPLETED" in lines[-1]


def test_events_on_standard_output_leave_no_room_for_a_result_as_json(graph: ScriptGraph) -> None:
    code, _, err = graph("build", "--event_sink=stdout:", "--output=json")

    assert code == 2
    assert "both write to standard output" in err
    assert graph("status")[0] == 2


def test_events_of_an_operation_on_standard_output_leave_no_room_for_a_result_as_json(graph: ScriptGraph) -> None:
    graph("build")

    code, out, err = graph("taint", "number/c", "--event_sink=stdout:", "--output=json")

    assert (code, out) == (2, "")
    assert "both write to standard output" in err


def test_a_sink_that_fails_stops_no_build_and_is_told_of(graph: ScriptGraph) -> None:
    code, _, err = graph("build", "--event_sink=jsonl:/dev/full")

    assert code == 0
    assert "an event sink failed and gets no more events: [Errno 28]" in err


def test_a_sink_that_cannot_be_opened_is_told_of_without_a_build(graph: ScriptGraph) -> None:
    code, out, err = graph("build", "--event_sink=jsonl:/dev/null/events", "--output=json")

    assert (code, out) == (3, "")
    assert err == "databuild: event log jsonl:/dev/null/events: the sink cannot be opened: Not a directory\n"
