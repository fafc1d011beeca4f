"""A build on a service, as an object: its request, and the state that its events add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, Unpack

from databuild.client.notebook import build_html
from databuild.client.reads import as_list
from databuild.client.results import result_of
from databuild.model.build_counts import BuildCounts
from databuild.model.build_options import BuildKeywords
from databuild.model.job_graph import Plan
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.results import BuildResult
from databuild.v1 import events_pb2 as ev

_Started = TypeVar("_Started")


class RemoteBuild(Generic[_Started]):
    """A build that has an id before it is submitted, so that submitting it twice starts it once.

    A notebook displays it with its progress, as far as `execute_build` or `add` have seen its events.

    Attributes:
        build_request_id: The id.
        partitions: The requested refs or ranges of refs; none for the default partitions of the graph.
        plan: The plan to run exactly; None to make a new plan.
        downstream: True to build, instead of the partitions, what was made from them.
        options: The fields of `BuildOptions` that were given.
        counts: The sums over its events.
        result: The result; None until the event of its end has been added.
    """

    def __init__(
        self,
        build_request_id: str,
        partitions: Sequence[str],
        start: Callable[[RemoteBuild[_Started]], _Started],
        *,
        plan: Plan | None = None,
        downstream: bool = False,
        **options: Unpack[BuildKeywords],
    ) -> None:
        self.build_request_id = build_request_id
        self.partitions = tuple(as_list(partitions))
        self.plan = plan
        self.downstream = downstream
        self.options = options
        self.counts = BuildCounts()
        self.result: BuildResult | None = None
        self._start = start
        self._last_sequence = 0

    def start_build(self) -> _Started:
        """Submits the build and returns its state. Further calls only return its state."""
        return self._start(self)

    def add(self, event: ev.BuildEvent) -> None:
        """Adds the next event of the build. An event that was added before is ignored."""
        if event.sequence <= self._last_sequence:  # watched a second time
            return
        self._last_sequence = event.sequence
        self.counts.add(event)
        if event.HasField("build_request") and event.build_request.status in BUILD_ENDS:
            self.result = result_of(event.build_request)

    def __repr__(self) -> str:
        return f"<build {self.build_request_id}: {self.counts.phase.replace('_', ' ')}>"

    def _repr_html_(self) -> str:
        """Called by IPython."""
        return build_html(self.build_request_id, self.plan.requested if self.plan else self.partitions, self.counts)
