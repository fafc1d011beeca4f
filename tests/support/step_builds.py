"""Helpers that write the events of builds step by step."""

from __future__ import annotations

from collections.abc import Callable

from databuild.event_log.coordination import Claim, ClaimRequest
from databuild.event_log.log import EventLog
from databuild.model.results import Success
from databuild.orchestration.events.orchestrator import BuildOrchestrator
from databuild.orchestration.events.payloads import job_event
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt


async def begin(log: EventLog, build: str, *refs: str, clock: Callable[[], float] = lambda: 100.0) -> BuildOrchestrator:
    """Writes the events of a build up to its execution, with a task for each ref."""
    one = BuildOrchestrator(log, build, refs, clock=clock)
    one.start_build(graph_label="//:g")
    one.start_planning()
    for number, ref in enumerate(refs, 1):
        one.emit_partition_scheduled(ref, number, pt.REASON_MISSING)
    one.complete_planning()
    await one.start_execution()
    return one


async def produce(one: BuildOrchestrator, number: int, ref: str, version: str = "", **metadata: object) -> None:
    """Writes the events of a task that runs and produces a ref."""
    run = f"{one.build_request_id}.{number}.1"
    one.emit_job_scheduled(run, number, "//:j")
    running = job_event(run, number, "//:j", ev.JOB_STATUS_RUNNING)
    running.manifest.code_digest = "code"
    running.manifest.inputs.add(ref="in", version="7")
    one.emit(("job", running))
    one.emit_partition_building(ref, number, run)
    one.emit_job_completed(run, number, "//:j")
    await one.emit_partition_available(ref, number, run, version, metadata)


async def claim(log: EventLog, build: str, number: int, *refs: str) -> Claim:
    """Claims refs for a task of a build."""
    (answer,) = await log.claim([ClaimRequest(build, f"{build}.{number}.1", refs)])
    return answer


async def adopt(log: EventLog, operation: str, *refs: str, force: bool = False) -> None:
    """Adopts refs."""
    event = ev.BuildEvent(event_id=f"{operation}/1", build_request_id=operation, sequence=1)
    event.time.FromMilliseconds(100_500)
    event.adoption.author, event.adoption.reason, event.adoption.force = "ann", "moved here", force
    for ref in refs:
        event.adoption.partitions.add(str=ref)
    await log.append([event])


async def take_over(log: EventLog, operation: str, *records: ev.AdoptedRecord, force: bool = False) -> None:
    """Adopts records of another log."""
    event = ev.BuildEvent(event_id=f"{operation}/1", build_request_id=operation, sequence=1)
    event.time.FromMilliseconds(100_500)
    event.adoption.author, event.adoption.reason, event.adoption.force = "ann", "renamed", force
    event.adoption.partitions.extend(pt.PartitionRef(str=record.ref) for record in records)
    event.adoption.records.extend(records)
    await log.append([event])


async def taint(log: EventLog, operation: str, *refs: str) -> None:
    """Taints refs."""
    event = ev.BuildEvent(event_id=f"{operation}/1", build_request_id=operation, sequence=1)
    event.taint.author, event.taint.reason, event.taint.tainted = "ann", "wrong", True
    for ref in refs:
        event.taint.partitions.add(str=ref)
    await log.append([event])


async def build(log: EventLog, name: str, *refs: str) -> BuildOrchestrator:
    """Writes a complete build that produces refs."""
    one = await begin(log, name, *refs)
    for number, ref in enumerate(refs, 1):
        await produce(one, number, ref)
    await one.complete_build(Success(jobs_completed=len(refs)))
    return one
