"""Every request over HTTP, as data: the server, the OpenAPI document and the tests read this one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.descriptor import Descriptor

from databuild.v1 import service_pb2

PREFIX: Final = "/api/v1"
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
BYTES: Final = "application/octet-stream"
PICTURE: Final = "image/svg+xml"

_METHODS: Final[Mapping[str, Any]] = service_pb2.DESCRIPTOR.services_by_name["DataBuildService"].methods_by_name


def method_name(rpc: str) -> str:
    """Returns the name of the method of the API, such as `submit_build`, that answers an RPC."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", rpc).lower()


class Route(NamedTuple):
    """One request.

    Attributes:
        method: GET or POST.
        path: Below the prefix; what stands in braces is a field of the request.
        rpc: The RPC that answers.
        summary: One sentence.
        form: The media type of the answer.
    """

    method: str
    path: str
    rpc: str
    summary: str
    form: str = JSON

    @property
    def method_name(self) -> str:
        """The name of the method of the API that answers."""
        return method_name(self.rpc)

    @property
    def request(self) -> Descriptor:
        """The message of the request: its path, its query or its body."""
        descriptor: Descriptor = _METHODS[self.rpc].input_type
        return descriptor

    @property
    def answer(self) -> Descriptor:
        """The message of the answer, or of each event of a stream."""
        found = _METHODS[self.rpc].output_type
        if self.rpc == "WatchBuild":  # which sends some at once, of which each is an event of the stream
            found = found.fields_by_name["events"].message_type
        descriptor: Descriptor = found
        return descriptor

    @property
    def path_fields(self) -> tuple[str, ...]:
        """The fields of the request that stand in the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


_BUILD: Final = "/builds/{build_request_id}"
_LOG: Final = "/job_runs/{job_run_id}/log"

ROUTES: Final = (
    Route("POST", "/builds", "SubmitBuild", "Starts a build; the same request with the same id starts nothing new."),
    Route("GET", "/builds", "ListBuilds", "Lists builds, newest first."),
    Route("GET", _BUILD, "GetBuild", "Tells how a build stands."),
    Route("POST", f"{_BUILD}/cancel", "CancelBuild", "Asks for a build to be stopped."),
    Route("POST", f"{_BUILD}/retry", "RetryBuild", "Starts a build of what another was asked for."),
    Route("GET", f"{_BUILD}/events", "ListBuildEvents", "Lists events of a build, in order."),
    Route(
        "GET",
        f"{_BUILD}/watch",
        "WatchBuild",
        "Sends the events of a build as they come; goes on after the sequence number in `Last-Event-ID`.",
        EVENTS,
    ),
    Route("GET", f"{_BUILD}/partitions", "ListBuildPartitions", "Lists the partitions of a build, by ref."),
    Route("GET", f"{_BUILD}/job_runs", "ListJobRuns", "Lists the job runs of a build."),
    Route("GET", "/job_runs/{job_run_id}", "GetJobRun", "Tells how a job run stands."),
    Route("GET", f"{_BUILD}/graph", "GetBuildGraph", "Tells the job graph of a build, with where each task stands."),
    Route("GET", f"{_BUILD}/graph.svg", "GetBuildGraph", "Draws the job graph of a build.", PICTURE),
    Route("POST", "/plans", "PlanBuild", "Tells what a build would do and why; starts none."),
    Route("GET", "/partitions", "ListPartitions", "Lists what is known of partitions, by ref."),
    Route("GET", "/partition", "GetPartition", "Tells what is known of one partition."),
    Route("GET", "/partition/explanation", "ExplainPartition", "Tells what a build would do with one partition."),
    Route("GET", "/partition/lineage", "GetLineage", "Tells what a partition was made from, or what from it."),
    Route("POST", "/taints", "TaintPartitions", "Marks partitions as not to be trusted, or takes the mark away."),
    Route("POST", "/adoptions", "AdoptPartitions", "Makes data known that was not built here, all of it or none."),
    Route("GET", "/jobs", "ListJobs", "Lists the jobs of the graph, and how their newest runs went."),
    Route("GET", "/job", "GetJob", "Tells how the newest runs of one job went."),
    Route("GET", _LOG, "ReadLog", "Returns a piece of what a job run wrote."),
    Route("GET", f"{_LOG}/download", "FollowLog", "Returns all of what a job run has written until now.", BYTES),
    Route(
        "GET",
        f"{_LOG}/follow",
        "FollowLog",
        "Sends what a job run writes as it comes; goes on at the offset in `Last-Event-ID`.",
        EVENTS,
    ),
    Route("GET", "/storage", "GetStorage", "Tells how much room the event log and the logs of job runs take."),
    Route("POST", "/prunings", "PruneBuilds", "Removes the events and job logs of builds that have ended."),
    Route("POST", "/verifications", "VerifyEvents", "Checks the event log, or returns the result of a check."),
)
