"""The table of HTTP routes, from which the server and the OpenAPI document are made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor

from databuild.tuples import NamedTuple
from databuild.v1 import service_pb2

PREFIX: Final = "/api/v1"
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
OCTET_STREAM: Final = "application/octet-stream"
SVG: Final = "image/svg+xml"

_METHODS: Final[Mapping[str, Any]] = service_pb2.DESCRIPTOR.services_by_name["DataBuildService"].methods_by_name


def method_name(rpc: str) -> str:
    """Returns the name of the method of `Api` that answers an RPC: `submit_build` for SubmitBuild."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", rpc).lower()


class Route(NamedTuple):
    """An HTTP request and the RPC behind it.

    Attributes:
        method: GET or POST.
        path: The path below the prefix, with the names of request fields in braces.
        rpc: The name of the RPC.
        summary: One sentence for the OpenAPI document.
        media_type: The media type of the response.
    """

    method: str
    path: str
    rpc: str
    summary: str
    media_type: str = JSON

    @property
    def method_name(self) -> str:
        """The name of the method of `Api`."""
        return method_name(self.rpc)

    @property
    def request(self) -> Descriptor:
        """The request message, whose fields come from the path and the query or body."""
        descriptor: Descriptor = _METHODS[self.rpc].input_type
        return descriptor

    @property
    def response(self) -> Descriptor:
        """The response message; for an event stream, the data of one event."""
        output: Any = _METHODS[self.rpc].output_type
        if self.rpc == "WatchBuild":
            # One message of the RPC holds a batch of build events, and each becomes one server-sent event.
            output = output.fields_by_name["events"].message_type
        descriptor: Descriptor = output
        return descriptor

    @property
    def path_fields(self) -> tuple[str, ...]:
        """The names of the request fields in the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


_BUILD: Final = "/builds/{build_request_id}"
_ENVIRONMENT: Final = "/environments/{environment}"
_LOG: Final = "/job_runs/{job_run_id}/log"

ROUTES: Final = (
    Route(
        "POST", "/builds", "SubmitBuild", "Start a build. Repeating the request with the same id starts nothing new."
    ),
    Route("GET", "/builds", "ListBuilds", "List builds, newest first."),
    Route("GET", _BUILD, "GetBuild", "Show a build."),
    Route("POST", f"{_BUILD}/cancel", "CancelBuild", "Request the cancellation of a build."),
    Route(
        "POST", f"{_BUILD}/retry", "RetryBuild", "Start a build of the partitions that another build did not finish."
    ),
    Route("GET", f"{_BUILD}/events", "ListBuildEvents", "List the events of a build, in order."),
    Route(
        "GET",
        f"{_BUILD}/watch",
        "WatchBuild",
        "Stream the events of a build. Resumes after the sequence number in `Last-Event-ID`.",
        EVENT_STREAM,
    ),
    Route("GET", f"{_BUILD}/partitions", "ListBuildPartitions", "List the partitions of a build, by ref."),
    Route("GET", f"{_BUILD}/job_runs", "ListJobRuns", "List the job runs of a build."),
    Route("GET", "/job_runs/{job_run_id}", "GetJobRun", "Show a job run."),
    Route(
        "GET",
        "/job_runs/{job_run_id}/reproduction",
        "GetReproduction",
        "Show what is needed to run a job run again, and whether its inputs have changed.",
    ),
    Route("GET", "/graph", "GetGraph", "Show the jobs of the graph and their inputs."),
    Route("GET", "/graph.svg", "GetGraph", "Draw the graph by job.", SVG),
    Route("GET", f"{_BUILD}/graph", "GetBuildGraph", "Show the job graph of a build, with the status of each task."),
    Route("GET", f"{_BUILD}/graph.svg", "GetBuildGraph", "Draw the job graph of a build.", SVG),
    Route("POST", "/plans", "PlanBuild", "Show what a build would do, and why, without starting it."),
    Route("GET", "/partitions", "ListPartitions", "List partitions, by ref."),
    Route("GET", "/partition", "GetPartition", "Show a partition."),
    Route("GET", "/partition/explanation", "ExplainPartition", "Show what a build would do with a partition, and why."),
    Route("GET", "/partition/lineage", "GetLineage", "List the inputs of a partition, or the partitions that use it."),
    Route("GET", "/partition/preview", "PreviewPartition", "Show the beginning of the data of a partition."),
    Route("GET", "/trends", "GetTrends", "Show the numbers of a partition, or of the partitions of a job, over time."),
    Route(
        "GET",
        "/partition/downstream",
        "ListDownstream",
        "List the partitions that were made from partitions, in one step or, if `transitive`, in any number.",
    ),
    Route(
        "GET",
        "/partition/declared_downstream",
        "GetDeclaredDownstream",
        "List the outputs of declared jobs that would be made from partitions, whether they exist or not.",
    ),
    Route("POST", "/taints", "TaintPartitions", "Taint partitions, or remove their taint."),
    Route(
        "POST", "/adoptions", "AdoptPartitions", "Record existing data as available partitions: all of them or none."
    ),
    Route("GET", "/environments", "ListEnvironments", "List the environments."),
    Route("GET", f"{_ENVIRONMENT}/comparison", "CompareEnvironment", "Compare an environment with the base."),
    Route("POST", f"{_ENVIRONMENT}/promotion", "PromoteEnvironment", "Make data of an environment that of the base."),
    Route("POST", f"{_ENVIRONMENT}/removal", "RemoveEnvironment", "Remove an environment."),
    Route("POST", "/partition_verifications", "VerifyPartitions", "Look for the data of partitions in its stores."),
    Route("POST", "/forgettings", "ForgetPartitions", "Make the event log forget the data of partitions."),
    Route("POST", "/deletions", "DeletePartitions", "Delete the data of partitions in its stores."),
    Route("POST", "/cleanings", "CleanPartitions", "Delete old data, and files that killed job runs left behind."),
    Route("GET", "/jobs", "ListJobs", "List the jobs of the graph, with statistics of their newest runs."),
    Route("GET", "/job", "GetJob", "Show a job and its newest runs."),
    Route("GET", _LOG, "ReadLog", "Read a part of the output of a job run."),
    Route("GET", f"{_LOG}/download", "FollowLog", "Download the output of a job run so far.", OCTET_STREAM),
    Route(
        "GET",
        f"{_LOG}/follow",
        "FollowLog",
        "Stream the output of a job run. Resumes at the offset in `Last-Event-ID`.",
        EVENT_STREAM,
    ),
    Route("GET", "/storage", "GetStorage", "Show the size of the event log and of the job logs."),
    Route("POST", "/prunings", "PruneBuilds", "Remove the events and job logs of builds that have ended."),
    Route("POST", "/verifications", "VerifyEvents", "Verify the event log, or return the result of a verification."),
)
