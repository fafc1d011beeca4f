"""The log page of a job run. It grows while the job runs."""

from __future__ import annotations

import codecs
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Final

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from databuild.errors import DataBuildError, InvalidRequestError
from databuild.model.job_run_id import parse_job_run_id
from databuild.service.dashboard.site import Visit
from databuild.v1 import service_pb2 as sv

_STREAMS: Final = ("stderr", "stdout")
_MAX_SHOWN_BYTES: Final = 256 * 1024
_PING_SECONDS: Final = 15


async def log(visit: Visit) -> Response:
    """Renders the last 256 KiB of a log.

    The default stream is stderr, or stdout while stderr is empty.
    """
    job_run = visit.request.path_params["job_run_id"]
    stream = _stream(visit)
    request = sv.ReadLogRequest(job_run_id=job_run, stream=stream, max_bytes=1)
    size = (await visit.call("ReadLog", request)).total_bytes
    if not size and not visit.form.text("stream"):
        request.stream = _STREAMS[1]
        size = (await visit.call("ReadLog", request)).total_bytes
        stream = request.stream = _STREAMS[1] if size else stream
    begin = max(0, size - _MAX_SHOWN_BYTES)
    request.offset, request.max_bytes = begin, _MAX_SHOWN_BYTES
    chunk = await visit.call("ReadLog", request)
    return visit.page(
        "log",
        job_run_id=job_run,
        build_request_id=parse_job_run_id(job_run).build_request_id,
        stream=stream,
        streams=_STREAMS,
        text=chunk.data.decode(errors="replace"),
        skipped=begin,
        next_offset=chunk.next_offset,
        ended=chunk.ended,
    )


async def follow(visit: Visit) -> Response:
    """Streams the log from an offset, as the job run writes it."""
    job_run = visit.request.path_params["job_run_id"]
    stream = _stream(visit)
    last = visit.request.headers.get("last-event-id", "")
    offset = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else visit.form.number("offset")
    await visit.call("ReadLog", sv.ReadLogRequest(job_run_id=job_run, stream=stream, max_bytes=1))
    request = sv.FollowLogRequest(job_run_id=job_run, stream=stream, offset=offset)
    return EventSourceResponse(_chunks(visit, request), ping=_PING_SECONDS, send_timeout=60, sep="\n")


async def _chunks(visit: Visit, request: sv.FollowLogRequest) -> AsyncGenerator[ServerSentEvent]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with contextlib.suppress(DataBuildError):  # the browser reconnects and gets the error then
        api = await visit.api_for("FollowLog", request)
        async with contextlib.aclosing(api.follow_log(request, visit.session.caller)) as chunks:
            async for chunk in chunks:
                text = decoder.decode(chunk.data)
                yield ServerSentEvent(json.dumps(text), id=str(chunk.next_offset))
                if chunk.ended:
                    yield ServerSentEvent("{}", event="end")


def _stream(visit: Visit) -> str:
    stream = visit.form.text("stream") or _STREAMS[0]
    if stream not in _STREAMS:
        raise InvalidRequestError(f"{stream[:80]!r} is not a stream; use stderr or stdout")
    return stream
