"""Task numbers: a deterministic topological order in which each task follows its upstream tasks."""

from __future__ import annotations

import functools
import heapq
import itertools
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from databuild.errors import DependencyCycleError
from databuild.graph.config_comparison import digest_in_slices
from databuild.graph.partition_graph import PartitionGraph
from databuild.model.job_graph import JobConfig, Task
from databuild.model.pacing import SLICE, slices, slices_by_work

if TYPE_CHECKING:
    from databuild.graph.declared.declaration import DeclaredJob

_NO_NODE: Final = -1

# Like `Task._make`, without a check of the length.
_new_task: Callable[[Iterable[object]], Task] = functools.partial(tuple.__new__, Task)


class NumberedTasks(NamedTuple):
    """The tasks of a plan.

    Attributes:
        tasks: The tasks, in the order of their numbers.
        task_ids: The task that produces each partition of the graph, by the number of the partition; 0 if none does.
    """

    tasks: list[Task]
    task_ids: list[int]


def number_tasks(
    graph: PartitionGraph,
    to_build: Sequence[int],
    configs: Mapping[str, JobConfig],
    owners: Mapping[str, str],
    digests: Mapping[str, str],
    declared: Mapping[str, DeclaredJob] = {},
) -> Generator[None, None, NumberedTasks]:
    """Returns the tasks that produce the partitions to be built, in a topological order.

    Uses Kahn's algorithm with a heap of ready tasks. Yields at least once per slice (see `Pace`).

    Args:
        graph: The partitions.
        to_build: The numbers of the partitions to be built, in the order of refs.
        configs: The configuration that produces each ref.
        owners: The label of the job that produces each ref.
        digests: The digest of that configuration, by ref.
        declared: The declared jobs, by label, of which some put several outputs into one task.

    Raises:
        DependencyCycleError: Tasks depend on each other, although none of their partitions depends on itself.
    """
    nodes: list[JobConfig] = []
    is_single = True
    for numbers in slices(to_build):
        yield
        found = [configs[graph.refs[number]] for number in numbers]
        is_single = is_single and all(len(config.outputs) == 1 for config in found)
        nodes += found
    if not is_single:
        nodes = list({id(config): config for config in nodes}.values())
    unbatched = len(nodes)
    if any(job.declaration.is_batched for job in declared.values()):
        from databuild.graph.declared.batching import batch_configs

        nodes = yield from batch_configs(nodes, [owners[node.outputs[0]] for node in nodes], declared)
    is_batched = len(nodes) < unbatched
    node_of = [_NO_NODE] * len(graph.refs)
    if is_single and not is_batched:
        upstream = yield from _edges_of_partitions(graph, to_build, node_of)
    else:
        upstream = yield from _edges_of_tasks(graph, nodes, node_of)
    order, task_ids = yield from _topological_order(upstream)
    if len(order) < len(nodes):
        raise DependencyCycleError(_cycle(nodes, upstream, task_ids))
    tasks: list[Task] = []
    for node_slice in slices_by_work(order, [len(upstream[node]) for node in order]):
        yield
        sorted_nodes = [nodes[node] for node in node_slice]
        firsts = [config.outputs[0] for config in sorted_nodes]
        values = zip(
            range(len(tasks) + 1, len(tasks) + 1 + len(firsts)),
            [owners[first] for first in firsts],
            sorted_nodes,
            [tuple(sorted(map(task_ids.__getitem__, upstream[node]))) for node in node_slice],
            [digests[first] for first in firsts],
            itertools.repeat((), len(firsts)),
            strict=True,
        )
        tasks += map(_new_task, values)
    if is_batched:
        yield from _add_digests_of_batches(tasks, configs, digests)
    task_ids.append(0)  # found for _NO_NODE, the last index
    return NumberedTasks(tasks, list(map(task_ids.__getitem__, node_of)))


def _edges_of_partitions(
    graph: PartitionGraph, to_build: Sequence[int], node_of: list[int]
) -> Generator[None, None, list[list[int]]]:
    """Returns the nodes that each node needs, where each node is one partition. Fills `node_of`, by partition."""
    for node, number in enumerate(to_build):
        if not node % SLICE:
            yield
        node_of[number] = node
    upstream: list[list[int]] = []
    edges = 0
    for number in to_build:
        needed = graph.upstream[number]
        edges += 1 + len(needed)
        if edges >= SLICE:
            edges = 0
            yield
        upstream.append([node for other in needed if (node := node_of[other]) != _NO_NODE])
    return upstream


def _edges_of_tasks(
    graph: PartitionGraph, nodes: Sequence[JobConfig], node_of: list[int]
) -> Generator[None, None, list[list[int]]]:
    """Returns the nodes that each node needs, where a node may be several partitions. Fills `node_of`, by partition."""
    numbers = graph.numbers
    for node, config in enumerate(nodes):
        for outputs in slices(config.outputs):
            yield
            for output in outputs:
                if output in numbers:
                    node_of[numbers[output]] = node
    upstream: list[list[int]] = []
    for config in nodes:
        needed: set[int] = set()
        for refs in slices(config.materialize):
            yield
            needed.update([node_of[numbers[ref]] for ref in refs])
        needed.discard(_NO_NODE)
        upstream.append(list(needed))
    return upstream


def _topological_order(upstream: Sequence[Sequence[int]]) -> Generator[None, None, tuple[list[int], list[int]]]:
    """Returns the nodes in order, and the number of each from 1; 0 for those of cycles and behind them."""
    downstream: list[list[int]] = [[] for _ in upstream]
    waiting = [len(needs) for needs in upstream]
    work = 0
    for node, needed_nodes in enumerate(upstream):
        work += 1 + waiting[node]
        if work >= SLICE:
            work = 0
            yield
        for needed in needed_nodes:
            downstream[needed].append(node)
    heappush, heappop = heapq.heappush, heapq.heappop
    ready = [node for node, count in enumerate(waiting) if not count]
    numbers = [0] * len(upstream)
    order: list[int] = []
    while ready:
        node = heappop(ready)
        order.append(node)
        numbers[node] = len(order)
        dependents = downstream[node]
        work += 1 + len(dependents)
        if work >= SLICE:
            work = 0
            yield
        for dependent in dependents:
            waiting[dependent] = count = waiting[dependent] - 1
            if not count:
                heappush(ready, dependent)
    return order, numbers


def _add_digests_of_batches(
    tasks: list[Task], configs: Mapping[str, JobConfig], digests: Mapping[str, str]
) -> Generator[None, None, None]:
    """Replaces the digests of tasks that are batches of configurations."""
    for index, task in enumerate(tasks):
        if not index % SLICE:
            yield
        outputs = task.config.outputs
        if len(outputs) > 1 and outputs != configs[outputs[0]].outputs:
            digest = yield from digest_in_slices(task.config)
            output_digests = tuple([digests[ref] for ref in outputs])
            tasks[index] = task._replace(configuration_digest=digest, output_digests=output_digests)


def _cycle(nodes: Sequence[JobConfig], upstream: Sequence[Sequence[int]], numbers: Sequence[int]) -> list[str]:
    # Every node without a number has an upstream node without one. Following these leads into a cycle.
    node = next(node for node, number in enumerate(numbers) if not number)
    path: dict[int, int] = {}
    while node not in path:
        path[node] = len(path)
        node = min(needed for needed in upstream[node] if not numbers[needed])
    return [nodes[member].outputs[0] for member in list(path)[path[node] :]]
