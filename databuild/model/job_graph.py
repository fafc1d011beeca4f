"""The job graph: the tasks that one build needs, with their dependencies.

Holds what was found, and does not know how it was found or how it will be run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from databuild.model.build_options import PlanOptions


class JobConfig(NamedTuple):
    """One way to run a job, as its `config` answered."""

    outputs: tuple[str, ...]
    materialize: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


class Task(NamedTuple):
    """A job with one configuration: a node of the job graph.

    Attributes:
        task_id: 1, 2, 3 in an order in which every task stands after its upstream tasks.
        job_label: The label of its job.
        config: What it produces and needs.
        upstream: The ids of the tasks that must complete before it, ascending.
        configuration_digest: A hash over arguments, environment and inputs.
    """

    task_id: int
    job_label: str
    config: JobConfig
    upstream: tuple[int, ...]
    configuration_digest: str


class PlannedPartition(NamedTuple):
    """What planning decided about one partition; `reason` is a value of the Reason enum.

    Attributes:
        task_id: The task that will produce it; 0 where it will not be built.
        cause: What the reason is about, such as the ref of the changed input.
        version: Its version when the plan was made; empty where it was not available.
        delegated_to: The build whose result is used or awaited.
        requested: Whether the request names it.
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
        job_label: The job that could produce it; empty where none is known to.
        read_by: The first output of the first task that reads it.
    """

    ref: str
    job_label: str
    read_by: str


class Plan(NamedTuple):
    """What a build would do.

    Attributes:
        graph_label: The label of the graph.
        requested: What was asked for, ranges expanded, in the order asked.
        tasks: The job graph, in the order of task ids.
        partitions: Every considered partition, sorted by ref.
        code_digests: The code digest of each job of the plan, by label.
        versions: The known version of every input, internal or not, that tasks read and that this plan does not build.
        options: The options that it was made with.
        warnings: What may not be meant as it is, one sentence each.
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
