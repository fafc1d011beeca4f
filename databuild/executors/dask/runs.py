"""A run in flight: what its client knows of it, and its result."""

from __future__ import annotations

import asyncio
import json
import pickle
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from databuild.executors.dask.delivery import Delivery
from databuild.executors.executor import Placement, ProcessResult, ProcessSpec
from databuild.executors.start_faults import StartFault

RESOURCE: Final = "resources."
"""The prefix of properties that are resources of Dask."""


class Run:
    """One run in flight.

    Attributes:
        spec: The process.
        key: Its name in the cluster.
        resources: The resources of Dask that it needs.
        delivery: The delivery of its output and reports.
        ended: Done with the message about its end.
        submitted: True once it may be known to the scheduler.
        accepted: True once the scheduler has said that it knows it.
        worker: The address of the worker that runs it; empty before it has started.
        machine: The name of that worker.
        sizes: The sizes of its streams on the worker, as far as they are known.
        pulling: Reads its output from the worker; None if nothing does.
        deadline: Ends it if the worker does not; None if it has no timeout.
        overdue: True if it was cancelled because it exceeded its timeout.
    """

    __slots__ = (
        "_on_placement",
        "accepted",
        "deadline",
        "delivery",
        "ended",
        "key",
        "machine",
        "overdue",
        "pulling",
        "queued_seconds",
        "resources",
        "sizes",
        "spec",
        "submitted",
        "worker",
    )

    def __init__(
        self,
        spec: ProcessSpec,
        key: str,
        resources: Mapping[str, float],
        delivery: Delivery,
        on_placement: Callable[[Placement], None] | None,
    ) -> None:
        self.spec = spec
        self.key = key
        self.resources = resources
        self.delivery = delivery
        self._on_placement = on_placement
        self.accepted = False
        self.ended: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self.submitted = False
        self.worker = ""
        self.machine = ""
        self.queued_seconds = 0.0
        self.sizes = [0, 0, 0]
        self.pulling: asyncio.Task[bool] | None = None
        self.deadline: asyncio.TimerHandle | None = None
        self.overdue = False

    def accept(self, scheduler_id: str) -> None:
        """Tells the handle of the run, once."""
        if not self.accepted:
            self.accepted = True
            self._place(Placement(handle=handle_of(self.key, scheduler_id)))

    def start(self, message: Mapping[str, Any]) -> bool:
        """Tells the machine of the run, and returns True, if it is new."""
        if self.worker:
            return False
        self.worker, self.machine, self.queued_seconds = message["worker"], message["machine"], message["queued"]
        self._place(Placement(machine=self.machine, queued_seconds=self.queued_seconds))
        return True

    @property
    def is_over(self) -> bool:
        """True if the engine has told the end of the run, so that it can forget it."""
        return self.ended.done() and "event" in self.ended.result()

    def end(self, message: Mapping[str, Any]) -> None:
        """Records the end of the run; only the first counts."""
        if not self.ended.done():
            blob = message.get("blob")
            self.ended.set_result({**message, **pickle.loads(blob)} if blob else message)  # noqa: S301 - of our supervisor

    def result(self, message: Mapping[str, Any], output: tuple[bytes, bytes]) -> ProcessResult:
        """Returns the result."""
        place: dict[str, Any] = {"machine": self.machine, "queued_seconds": self.queued_seconds}
        if "lost" in message:
            return ProcessResult(exit_code=-1, lost=message["lost"], **place)
        if "refused" in message:
            return ProcessResult(exit_code=-1, refused=message["refused"], **place)
        if "fault" in message:
            return ProcessResult(exit_code=-1, start_fault=StartFault(message=message["fault"]), **place)
        if "cancelled" in message:
            if self.overdue:
                return ProcessResult(exit_code=-1, timed_out=True, stdout=output[0], stderr=output[1], **place)
            return ProcessResult(exit_code=-1, lost="another client cancelled the run", **place)
        fault = message["start_fault"]
        return ProcessResult(
            exit_code=message["exit_code"],
            timed_out=message["timed_out"],
            duration_seconds=message["duration"],
            cpu_seconds=message["cpu"],
            peak_memory_bytes=message["memory"],
            start_fault=StartFault(message=fault[0], users_fault=fault[1]) if fault else None,
            oom_kills=message["oom_kills"],
            unended=tuple(message["unended"]),
            stdout=output[0],
            stderr=output[1],
            **place,
        )

    def _place(self, placement: Placement) -> None:
        if self._on_placement is not None:
            self._on_placement(placement)


def new_key(run_id: str) -> str:
    """Returns a name for a run that the cluster has never seen."""
    return f"{run_id}.{uuid.uuid4().hex[:8]}"


def handle_of(key: str, scheduler_id: str) -> str:
    """Returns the handle of a run."""
    return json.dumps({"run": key, "scheduler": scheduler_id})


def parse_handle(handle: str) -> tuple[str, str]:
    """Returns the key of the run and the id of the scheduler; empty texts for a handle of another kind."""
    try:
        fields = json.loads(handle)
        return str(fields["run"]), str(fields["scheduler"])
    except (ValueError, KeyError, TypeError):
        return "", ""


def dask_resources(properties: Mapping[str, str]) -> tuple[dict[str, float], str]:
    """Returns the resources that properties name, and the fault of the properties; empty if there is none."""
    resources = {}
    for name, value in properties.items():
        if not name.startswith(RESOURCE) or name == RESOURCE:
            return (
                {},
                f"{name!r} is not a property of Dask; use {RESOURCE}NAME with the amount of a resource of workers",
            )
        try:
            amount = float(value)
        except ValueError:
            amount = 0.0
        if not amount > 0:
            return {}, f"the property {name!r} must be a positive number, not {value!r}"
        resources[name.removeprefix(RESOURCE)] = amount
    return resources, ""
