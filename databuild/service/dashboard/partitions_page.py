"""The pages `partitions` (search and calendar) and `partition` (record, lineage, history, taint, removal)."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from databuild.errors import HttpRequestError, InvalidRequestError
from databuild.model.statuses import PARTITION, TAINTED
from databuild.service.dashboard import drawings
from databuild.service.dashboard.calendar_page import calendar
from databuild.service.dashboard.drawings import plots
from databuild.service.dashboard.metadata_values import metadata_values
from databuild.service.dashboard.site import Form, Visit, redirect
from databuild.v1 import service_pb2 as sv

_ROWS: Final = 100
_LINEAGE_STEPS: Final = 3
_LINEAGE_EDGES: Final = 200


async def partitions(visit: Visit) -> Response:
    """Renders the search for partitions."""
    form = visit.form
    page = await visit.call("ListPartitions", _request(form))
    pattern = form.text("pattern")
    jobs = (await visit.call("ListJobs", sv.ListJobsRequest())).jobs
    return visit.page(
        "partitions",
        partitions=page.partitions,
        next_page_token=page.next_page_token,
        calendar=await calendar(visit, pattern, form.number("year")) if pattern else None,
        counts=sorted((word.lower(), count) for word, count in page.counts.items() if count),
        patterns=sorted({pattern for job in jobs for pattern in job.outputs}),
        statuses=(*PARTITION.names, TAINTED),
        chosen={name: form.text(name) for name in ("q", "anywhere", "pattern", "status")},
    )


async def partition(visit: Visit) -> Response:
    """Renders the page of a partition."""
    ref = visit.form.exact("ref")
    detail = await visit.call("GetPartition", sv.GetPartitionRequest(ref=ref))
    upstream = await _lineage(visit, ref, sv.GetLineageRequest.DIRECTION_UPSTREAM)
    downstream = await _lineage(visit, ref, sv.GetLineageRequest.DIRECTION_DOWNSTREAM)
    explanation = None
    if visit.form.checked("why"):
        explanation = await visit.call("ExplainPartition", sv.ExplainPartitionRequest(ref=ref))
    preview = None
    if visit.form.checked("preview"):
        preview = await visit.call("PreviewPartition", sv.PreviewPartitionRequest(ref=ref))
    record = detail.record if detail.HasField("record") else None
    trends = await visit.call("GetTrends", sv.GetTrendsRequest(ref=ref))
    return visit.page(
        "partition",
        partition=detail,
        record=record,
        metadata=list(metadata_values(record.metadata)) if record is not None else [],
        preview=preview,
        trends=trends.trends,
        plots=plots(trends.trends, ref),
        schema=trends.schema if trends.HasField("schema") else None,
        explanation=explanation,
        lineage=drawings.lineage(ref, upstream, downstream),
        upstream=upstream,
        downstream=downstream,
    )


async def picture(visit: Visit) -> Response:
    """Sends a picture: the data of a partition, or the metadata value `name`."""
    request = sv.PreviewPartitionRequest(ref=visit.form.exact("ref"), image=visit.form.exact("name"))
    preview = await visit.call("PreviewPartition", request)
    if preview.WhichOneof("content") != "image":
        raise HttpRequestError(404, preview.unavailable or "the data is no picture")
    headers = {"Content-Disposition": "inline", "Content-Security-Policy": "default-src 'none'; sandbox"}
    return Response(preview.image.data, media_type=preview.image.media_type, headers=headers)


async def taint(visit: Visit) -> Response:
    """Taints a partition, or removes its taint."""
    ref = visit.form.exact("ref")
    request = sv.TaintPartitionsRequest(
        partitions=[ref], untaint=visit.form.checked("untaint"), reason=visit.form.text("reason")
    )
    await visit.call("TaintPartitions", request)
    return redirect("/partition", {"ref": ref})


async def forget(visit: Visit) -> Response:
    """Forgets the data of a partition."""
    ref = visit.form.exact("ref")
    await visit.call("ForgetPartitions", sv.ForgetPartitionsRequest(partitions=[ref], reason=visit.form.text("reason")))
    return redirect("/partition", {"ref": ref})


async def delete(visit: Visit) -> Response:
    """Deletes the data of a partition, if its check box says so."""
    ref = visit.form.exact("ref")
    if not visit.form.checked("confirmed"):
        raise InvalidRequestError("nothing was deleted; confirm the deletion by its check box")
    request = sv.DeletePartitionsRequest(partitions=[ref], reason=visit.form.text("reason"))
    deletion: sv.DeletePartitionsResponse = await visit.call("DeletePartitions", request)
    faults = [one.fault for one in deletion.data if one.fault]
    if faults:
        raise InvalidRequestError(f"the data of {ref!r} was not deleted: {faults[0]}")
    return redirect("/partition", {"ref": ref})


def _request(form: Form) -> sv.ListPartitionsRequest:
    status = form.text("status").upper()
    if status and status not in (*PARTITION.names, TAINTED):
        raise InvalidRequestError(
            f"{status[:80]!r} is not a status of a partition; use one of {', '.join(PARTITION.names)}"
        )
    text = form.text("q")
    anywhere = form.checked("anywhere")
    return sv.ListPartitionsRequest(
        prefix="" if anywhere else text,
        contains=text if anywhere else "",
        pattern=form.text("pattern"),
        status=PARTITION.message_name(status) if status and status != TAINTED else None,
        tainted=status == TAINTED,
        page_token=form.exact("page_token"),
        page_size=_ROWS,
    )


async def _lineage(visit: Visit, ref: str, direction: Any) -> sv.Lineage:
    request = sv.GetLineageRequest(ref=ref, direction=direction, depth=_LINEAGE_STEPS, max_edges=_LINEAGE_EDGES)
    lineage: sv.Lineage = await visit.call("GetLineage", request)
    return lineage
