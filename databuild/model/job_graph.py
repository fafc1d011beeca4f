"""The job graph and the plan: the tasks that one build needs, with their dependencies.

Plain data: it does not know how plans are made or run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from databuild.tuples import NamedTuple

if TYPE_CHECKING:
    from databuild.model.build_options import PlanOptions


class JobConfig(NamedTuple):
    """One configuration of a job, as returned by its `config`.

    Attributes:
        outputs: The refs that it produces.
        materialize: The refs that must be available before it runs, and that the build produces if they are not.
        query: The refs that it reads as they are; the build does not produce them.
        args: The arguments of `exec`.
        env: The environment variables of `exec`, sorted by name.
        query_prefixes: Beginnings of refs. The job reads the available partitions whose refs continue with one path
            segment, or with the rest of one, when it starts.
    """

    outputs: tuple[str, ...]
    materialize: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    query_prefixes: tuple[str, ...] = ()


class Task(NamedTuple):
    """A job with one configuration: a node of the job graph.

    Attributes:
        task_id: The number of the task, from 1, in topological order.
        job_label: The label of the job.
        config: The configuration of the job.
        upstream: The ids of the tasks that must complete before it, ascending.
        configuration_digest: A hash over arguments, environment and inputs.
        output_digests: The same hash for each output alone, in the order of the outputs, if the task is a batch of
            configurations. Empty otherwise.
    """

    task_id: int
    job_label: str
    config: JobConfig
    upstream: tuple[int, ...]
    configuration_digest: str
    output_digests: tuple[str, ...] = ()

    @property
    def digests(self) -> tuple[str, ...]:
        """The configuration digest of each output."""
        return self.output_digests or (self.configuration_digest,) * len(self.config.outputs)


class PlannedPartition(NamedTuple):
    """The decision of planning about one partition.

    Attributes:
        ref: The partition.
        job_label: The job that produces it.
        task_id: The task that will produce it; 0 if it will not be built.
        reason: A value of the Reason enum.
        cause: The subject of the reason, such as the ref of the changed input.
        version: The version when the plan was made; empty if the partition was not available.
        delegated_to: The build whose result is used or awaited; empty if there is none.
        requested: True if the request names the partition.
    """

    ref: str
    job_label: str
    task_id: int
    reason: int
    cause: str = ""
    version: str = ""
    delegated_to: str = ""
    requested: bool = False


class AbsentInput(NamedTuple):
    """A QUERY input that does not exist.

    Attributes:
        ref: The input.
        job_label: The job that could produce it; empty if no job is known.
        read_by: The first output of the first task that reads it.
    """

    ref: str
    job_label: str
    read_by: str


class Plan(NamedTuple):
    """The decisions of planning for one request.

    Attributes:
        graph_label: The label of the graph.
        requested: The requested partitions in the order of the request, with ranges expanded.
        tasks: The job graph, in the order of task ids.
        partitions: Every considered partition, sorted by ref.
        code_digests: The code digest of each job of the plan, by label.
        versions: The version of every input that tasks read and that this plan does not build.
        options: The options that it was made with.
        warnings: Suspicious parts of the request or of configurations, one sentence each.
        absent_inputs: The QUERY inputs that tasks read although they are not available and this plan does not build
            them, by ref.
    """

    graph_label: str
    requested: tuple[str, ...]
    tasks: tuple[Task, ...]
    partitions: tuple[PlannedPartition, ...]
    code_digests: Mapping[str, str]
    versions: Mapping[str, str]
    options: PlanOptions
    warnings: tuple[str, ...] = ()
    absent_inputs: tuple[AbsentInput, ...] = ()
