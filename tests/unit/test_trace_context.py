"""Ids of traces follow from builds and job runs, and the trace of a caller goes on."""

from __future__ import annotations

import pytest

from databuild.model.trace_context import (
    span_of_build,
    span_of_config_call,
    span_of_job_run,
    span_of_planning,
    trace_of_build,
    valid_traceparent,
)

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_build_without_a_caller_begins_a_trace_of_its_own() -> None:
    trace = trace_of_build("b", "")

    assert trace == trace_of_build("b", "nonsense")
    assert (len(trace.trace_id), trace.parent_span_id, trace.sampled) == (32, "", True)
    assert trace.trace_id != trace_of_build("c", "").trace_id
    assert trace.traceparent(PARENT) == f"00-{trace.trace_id}-{PARENT}-01"


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_trace_of_a_caller_goes_on(flags: str, sampled: bool) -> None:
    trace = trace_of_build("b", f"00-{TRACE}-{PARENT}-{flags}")

    assert trace == (TRACE, PARENT, sampled)
    assert trace.traceparent("1" * 16) == f"00-{TRACE}-{'1' * 16}-{'01' if sampled else '00'}"


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (f"00-{TRACE}-{PARENT}-01", True),
        (f"cc-{TRACE}-{PARENT}-01-of-the-future", True),
        (f"00-{TRACE}-{PARENT}-01-more", False),
        (f"ff-{TRACE}-{PARENT}-01", False),
        (f"00-{TRACE.upper()}-{PARENT}-01", False),
        (f"00-{'0' * 32}-{PARENT}-01", False),
        (f"00-{TRACE}-{'0' * 16}-01", False),
        (f"00-{TRACE}-{PARENT}", False),
        (f"00-{TRACE}-{PARENT}-01\n", False),
        ("", False),
    ],
)
def test_a_trace_context_is_valid_as_the_recommendation_says(text: str, valid: bool) -> None:
    assert valid_traceparent(text) == (text if valid else "")


def test_each_span_has_an_id_of_its_own() -> None:
    ids = [
        span_of_build("b"),
        span_of_planning("b"),
        span_of_config_call("b", 1),
        span_of_config_call("b", 2),
        span_of_job_run("b.1.1"),
        span_of_job_run("b.1.2"),
    ]

    assert len(set(ids)) == len(ids)
    assert {len(span) for span in ids} == {16}
