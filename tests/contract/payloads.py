"""Payloads of events by the names of their fields, and the payloads of a whole build."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from databuild.v1 import events_pb2 as ev
from databuild.v1 import job_pb2, plan_pb2
from databuild.v1 import partition_pb2 as pt

Payload: TypeAlias = Mapping[str, Any]


def received(*refs: str) -> Payload:
    return {
        "build_request": ev.BuildRequestEvent(
            status=ev.BUILD_STATUS_RECEIVED, requested=[pt.PartitionRef(str=ref) for ref in refs]
        )
    }


def status(name: str) -> Payload:
    return {"build_request": ev.BuildRequestEvent(status=f"BUILD_STATUS_{name}")}


def partition(ref: str, name: str, run: str = "") -> Payload:
    return {"partition": ev.PartitionEvent(ref=ref, status=f"PARTITION_STATUS_{name}", job_run_id=run)}


def job(run: str, name: str) -> Payload:
    _, task, attempt = run.rsplit(".", 2)
    return {
        "job": ev.JobEvent(
            job_run_id=run,
            task_id=int(task),
            attempt=int(attempt),
            job_label="//:j",
            status=f"JOB_STATUS_{name}",
        )
    }


def job_graph() -> Payload:
    """Returns two tasks: one makes `raw`, the other makes `sum` of it."""
    first = job_pb2.JobConfig(outputs=[pt.PartitionRef(str="raw")])
    second = job_pb2.JobConfig(outputs=[pt.PartitionRef(str="sum")])
    second.inputs.add(dep_type_code=job_pb2.MATERIALIZE, partition_ref=pt.PartitionRef(str="raw"))
    second.inputs.add(dep_type_code=job_pb2.QUERY, partition_ref=pt.PartitionRef(str="sum"))
    tasks = [plan_pb2.Task(task_id=1, config=first), plan_pb2.Task(task_id=2, config=second)]
    return {"job_graph": ev.JobGraphEvent(tasks=tasks, total_tasks=2)}


def whole_build(name: str) -> dict[str, Payload]:
    """Returns the events of a build, by short names."""
    return {
        "received": received("sum"),
        "planning": status("PLANNING"),
        "raw scheduled": partition("raw", "SCHEDULED"),
        "sum scheduled": partition("sum", "SCHEDULED"),
        "graph": job_graph(),
        "planned": status("ANALYSIS_COMPLETED"),
        "executing": status("EXECUTING"),
        "1 scheduled": job(f"{name}.1.1", "SCHEDULED"),
        "1 running": job(f"{name}.1.1", "RUNNING"),
        "raw building": partition("raw", "BUILDING", f"{name}.1.1"),
        "1 completed": job(f"{name}.1.1", "COMPLETED"),
        "raw available": partition("raw", "AVAILABLE", f"{name}.1.1"),
        "2 scheduled": job(f"{name}.2.1", "SCHEDULED"),
        "2 running": job(f"{name}.2.1", "RUNNING"),
        "sum building": partition("sum", "BUILDING", f"{name}.2.1"),
        "2 completed": job(f"{name}.2.1", "COMPLETED"),
        "sum available": partition("sum", "AVAILABLE", f"{name}.2.1"),
        "completed": status("COMPLETED"),
    }
