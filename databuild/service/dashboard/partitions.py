"""The pages partitions, with a search and a calendar, and partition, with its history, its lineage and a plan."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from databuild.errors import InvalidRequestError
from databuild.model.statuses import PARTITION, TAINTED
from databuild.service.dashboard import drawings
from databuild.service.dashboard.calendar import calendar
from databuild.service.dashboard.site import Form, Visit, redirect
from databuild.v1 import service_pb2 as sv

_ROWS: Final = 100
_LINEAGE_STEPS: Final = 3
_LINEAGE_EDGES: Final = 200


async def partitions(visit: Visit) -> Response:
    """Lists partitions, by ref."""
    form = visit.form
    page = await visit.ask("ListPartitions", _request(form))
    pattern = form.text("pattern")
    jobs = (await visit.ask("ListJobs", sv.ListJobsRequest())).jobs
    return visit.page(
        "partitions",
        partitions=page.partitions,
        next_after=page.next_page_token,
        calendar=await calendar(visit, pattern, form.number("year")) if pattern else None,
        counts=sorted((word.lower(), count) for word, count in page.counts.items() if count),
        patterns=sorted({pattern for job in jobs for pattern in job.outputs}),
        statuses=(*PARTITION.names, TAINTED),
        chosen={name: form.text(name) for name in ("q", "anywhere", "pattern", "status", "after")},
    )


async def partition(visit: Visit) -> Response:
    """Shows one partition."""
    ref = visit.form.exact("ref")
    detail = await visit.ask("GetPartition", sv.GetPartitionRequest(ref=ref))
    upstream = await _lineage(visit, ref, sv.GetLineageRequest.DIRECTION_UPSTREAM)
    downstream = None  # finding it looks through all partitions
    if visit.form.ticked("downstream"):
        downstream = await _lineage(visit, ref, sv.GetLineageRequest.DIRECTION_DOWNSTREAM)
    explanation = None
    if visit.form.ticked("why"):
        explanation = await visit.ask("ExplainPartition", sv.ExplainPartitionRequest(ref=ref))
    return visit.page(
        "partition",
        partition=detail,
        record=detail.record if detail.HasField("record") else None,
        explanation=explanation,
        lineage=drawings.lineage(ref, upstream, downstream),
        upstream=upstream,
        downstream=downstream,
    )


async def taint(visit: Visit) -> Response:
    """Marks a partition as not to be trusted, or takes the mark away."""
    ref = visit.form.exact("ref")
    request = sv.TaintPartitionsRequest(
        partitions=[ref], untaint=visit.form.ticked("untaint"), reason=visit.form.text("reason")
    )
    await visit.ask("TaintPartitions", request)
    return redirect("/partition", {"ref": ref})


def _request(form: Form) -> sv.ListPartitionsRequest:
    status = form.text("status").upper()
    if status and status not in (*PARTITION.names, TAINTED):
        raise InvalidRequestError(
            f"{status[:80]!r} is no status of a partition; there are {', '.join(PARTITION.names)}"
        )
    text = form.text("q")
    anywhere = form.ticked("anywhere")
    return sv.ListPartitionsRequest(
        prefix="" if anywhere else text,
        contains=text if anywhere else "",
        pattern=form.text("pattern"),
        status=PARTITION.message_name(status) if status and status != TAINTED else None,
        tainted=status == TAINTED,
        page_token=form.exact("after"),
        page_size=_ROWS,
    )


async def _lineage(visit: Visit, ref: str, direction: Any) -> sv.Lineage:
    request = sv.GetLineageRequest(ref=ref, direction=direction, depth=_LINEAGE_STEPS, max_edges=_LINEAGE_EDGES)
    lineage: sv.Lineage = await visit.ask("GetLineage", request)
    return lineage
