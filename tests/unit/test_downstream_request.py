"""Requests for everything downstream of partitions, on made-up records."""

from __future__ import annotations

import pytest

from databuild.errors import NothingDownstreamError, TooManyPartitionsError
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.records import PartitionState
from databuild.orchestration.build.downstream_request import Requested, partitions_to_build, partitions_to_taint
from tests.support.lineage_records import LineageRecords

RUNS = {
    "b.1.1": (["source/1"], ["raw/1", "raw/2"]),
    "b.1.2": (["raw/1"], ["clean/1"]),
    "b.1.3": (["clean/1", "raw/2"], ["report/1"]),
    "b.1.4": (["raw/1"], ["old/1"]),
    "b.1.5": (["old/1"], ["old/2"]),
}


def catalog(*patterns: str, lookup: str = "") -> JobCatalog:
    jobs = {f"//:{pattern}": Job(label=f"//:{pattern}", executable="j", outputs=(pattern,)) for pattern in patterns}
    return JobCatalog(graph_label="//:g", jobs=jobs, lookup=lookup)


GRAPH = catalog("raw/{n:int}", "clean/{n:int}", "report/{n:int}", "old/{n:int}")


def test_everything_that_was_made_from_a_partition_is_requested_by_ref() -> None:
    requested = partitions_to_build(LineageRecords(RUNS), GRAPH, ["source/1"])

    assert requested == Requested(
        ("clean/1", "old/1", "old/2", "raw/1", "raw/2", "report/1"), downstream_of=("source/1",)
    )


def test_a_given_partition_is_requested_only_if_it_was_made_from_another() -> None:
    requested = partitions_to_build(LineageRecords(RUNS), GRAPH, ["raw/2", "clean/1", "raw/1"])

    assert set(requested.refs) == {"clean/1", "report/1", "old/1", "old/2"}
    assert requested.downstream_of == ("raw/2", "clean/1", "raw/1")


def test_a_partition_that_is_not_available_is_not_requested() -> None:
    lost = PartitionState("clean/1", "FAILED", available=False)

    requested = partitions_to_build(LineageRecords(RUNS, states=[lost]), GRAPH, ["raw/1"])

    assert requested.refs == ("old/1", "old/2", "report/1")


def test_partitions_that_no_job_produces_any_more_are_left_out_with_a_warning() -> None:
    graph = catalog("raw/{n:int}", "clean/{n:int}", "report/{n:int}")

    requested = partitions_to_build(LineageRecords(RUNS), graph, ["raw/1"])

    assert requested.refs == ("clean/1", "report/1")
    assert requested.warnings == (
        "old/1, old/2 are downstream too, but left out: no job of the graph produces them any more",
    )


def test_a_partition_out_of_the_bounds_of_its_job_is_produced_no_more() -> None:
    from databuild.graph.declared.declaration import Declaration

    job = Job(label="//:old", executable="j", outputs=("old/{n:int}",), declaration=Declaration(bounds={"n": "2.."}))
    graph = JobCatalog(graph_label="//:g", jobs={job.label: job})

    requested = partitions_to_build(LineageRecords(RUNS), graph, ["raw/1", "old/1"])

    assert requested.refs == ("old/2",)
    assert "clean/1, old/1, report/1 are downstream too" in requested.warnings[0]


def test_a_lookup_decides_about_producers_when_the_build_is_planned() -> None:
    requested = partitions_to_build(LineageRecords(RUNS), catalog(lookup="lookup"), ["old/1"])

    assert requested == Requested(("old/2",), downstream_of=("old/1",))


@pytest.mark.parametrize(
    ("refs", "left_out", "fault"),
    [
        (["report/1"], (), "there is nothing to build: no available partition was made from 'report/1'; "),
        (["old/1", "report/1"], ("old/2",), "from 'old/1' and 1 more, except 'old/2', which no job of the graph"),
    ],
)
def test_a_request_with_nothing_to_build_is_refused(refs: list[str], left_out: tuple[str, ...], fault: str) -> None:
    with pytest.raises(NothingDownstreamError) as refused:
        partitions_to_build(LineageRecords(RUNS), catalog("report/{n:int}"), refs)

    assert (refused.value.refs, refused.value.left_out) == (tuple(refs), left_out)
    assert fault in str(refused.value)


def test_a_request_may_not_stand_for_more_partitions_than_the_limit() -> None:
    assert len(partitions_to_build(LineageRecords(RUNS), GRAPH, ["source/1"], limit=6).refs) == 6

    with pytest.raises(TooManyPartitionsError):
        partitions_to_build(LineageRecords(RUNS), GRAPH, ["source/1"], limit=5)


def test_a_taint_has_the_given_partitions_and_everything_downstream_once() -> None:
    records = LineageRecords(RUNS)

    assert partitions_to_taint(records, ["raw/1", "clean/1"]) == ("clean/1", "old/1", "old/2", "raw/1", "report/1")
    assert partitions_to_taint(records, ["report/1"]) == ("report/1",)
    with pytest.raises(TooManyPartitionsError):
        partitions_to_taint(records, ["raw/1"], limit=4)


def test_a_taint_leaves_out_what_has_no_record_unless_there_is_nothing_else() -> None:
    records = LineageRecords(RUNS, unrecorded=["source/1", "source/2"])

    assert partitions_to_taint(records, ["source/1", "source/2"])[0] == "clean/1"
    assert partitions_to_taint(records, ["source/2"]) == ("source/2",)
