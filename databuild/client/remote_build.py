"""A build on a service, as its client sees it: its id, what it is asked for, and what its events add up to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, Unpack

from databuild.client.html import build_html
from databuild.client.results import result_of
from databuild.model.build_counts import BuildCounts
from databuild.model.build_options import BuildKeywords
from databuild.model.job_graph import Plan
from databuild.model.lifecycle import BUILD_ENDS
from databuild.model.results import BuildResult
from databuild.v1 import events_pb2 as ev

_Started = TypeVar("_Started")


class RemoteBuild(Generic[_Started]):
    """A build that its id names from the beginning, so that starting it twice starts it once.

    A notebook shows it with its progress, as far as it was watched through here.

    Attributes:
        build_request_id: The id.
        partitions: The refs or ranges of refs that it is asked for; none stand for the graph's default partitions.
        plan: The plan to run exactly; None to plan anew.
        options: The fields of `BuildOptions` that were given.
        counts: What its events add up to.
        result: What came of it; None where that is not known yet.
    """

    def __init__(
        self,
        build_request_id: str,
        partitions: Sequence[str],
        start: Callable[[RemoteBuild[_Started]], _Started],
        *,
        plan: Plan | None = None,
        **options: Unpack[BuildKeywords],
    ) -> None:
        """Takes what is asked for, and what starts it."""
        self.build_request_id = build_request_id
        self.partitions = tuple(partitions)
        self.plan = plan
        self.options = options
        self.counts = BuildCounts()
        self.result: BuildResult | None = None
        self._start = start
        self._last_sequence = 0

    def start_build(self) -> _Started:
        """Submits the build and returns how it stands; once more returns how it stands then."""
        return self._start(self)

    def add(self, event: ev.BuildEvent) -> None:
        """Takes note of an event of the build; one that was noted already changes nothing."""
        if event.sequence <= self._last_sequence:
            return
        self._last_sequence = event.sequence
        self.counts.add(event)
        if event.build_request.status in BUILD_ENDS:
            self.result = result_of(event.build_request)

    def __repr__(self) -> str:
        """Returns the id and how the build stands."""
        return f"<build {self.build_request_id}: {self.counts.phase.replace('_', ' ')}>"

    def _repr_html_(self) -> str:
        """Returns how it stands, for a notebook."""
        return build_html(self.build_request_id, self.plan.requested if self.plan else self.partitions, self.counts)
