"""Task numbers: a deterministic topological order in which each task follows its upstream tasks."""

from __future__ import annotations

import functools
import heapq
import itertools
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from databuild.errors import DependencyCycleError
from databuild.graph.config_digests import ConfigDigests
from databuild.graph.partition_graph import PartitionGraph
from databuild.model.job_graph import JobConfig, Task
from databuild.model.pacing import SLICE, slices, slices_by_work
from databuild.tuples import NamedTuple

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
    digests: ConfigDigests | None,
    declared: Mapping[str, DeclaredJob] = {},
) -> Generator[None, None, NumberedTasks]:
    """Returns the tasks that produce the partitions to be built, in a topological order.

    Uses Kahn's algorithm with a heap of ready tasks. Yields at least once per slice (see `Pace`).

    Args:
        graph: The partitions.
        to_build: The numbers of the partitions to be built, in the order of refs.
        configs: The configuration that produces each ref.
        owners: The label of the job that produces each ref.
        digests: Computes the digests of configurations; None for tasks without a digest.
        declared: The declared jobs, by label, of which some put several outputs into one task.

    Raises:
        DependencyCycleError: Tasks depend on each other, although none of their partitions depends on itself.
    """
    nodes: list[JobConfig] = []
    is_single = True
    for numbers in slices(to_build):
        yield
        found = [configs[graph.refs[number]] for number in numbers]
        is_single = is_single and {len(config.outputs) for config in found} == {1}
        nodes += found
    if not is_single:
        nodes = list({id(config): config for config in nodes}.values())
    unbatched = len(nodes)
    if any(job.declaration.is_batched for job in declared.values()):
        from databuild.graph.declared.batching import batch_configs

        nodes = yield from batch_configs(nodes, [owners[node.outputs[0]] for node in nodes], declared)
    is_batched = len(nodes) < unbatched
    ids: Sequence[int] = to_build
    upstream: Sequence[Sequence[int]] = graph.upstream
    node_of: list[int] | None = None
    if is_batched or not is_single:
        node_of = [_NO_NODE] * len(graph.refs)
        ids = range(len(nodes))
        upstream = yield from _edges_of_tasks(graph, nodes, node_of)
    order, task_ids = yield from _topological_order(ids, upstream)
    if len(order) < len(nodes):
        raise DependencyCycleError(_cycle(nodes, ids, upstream, task_ids))
    tasks: list[Task] = []
    for some in slices_by_work(order, [len(upstream[ids[node]]) for node in order]):
        yield
        sorted_nodes = [nodes[node] for node in some]
        if digests is not None:
            yield from digests.add(sorted_nodes)
        needed = [map(task_ids.__getitem__, upstream[ids[node]]) for node in some]
        values = zip(
            range(len(tasks) + 1, len(tasks) + 1 + len(some)),
            [owners[config.outputs[0]] for config in sorted_nodes],
            sorted_nodes,
            [tuple(sorted(filter(None, numbers))) for numbers in needed],
            [digests.by_id[id(config)] for config in sorted_nodes] if digests is not None else itertools.repeat(""),
            itertools.repeat(()),
            strict=False,
        )
        tasks += map(_new_task, values)
    if is_batched and digests is not None:
        yield from _add_digests_of_batches(tasks, configs, digests)
    if node_of is None:
        return NumberedTasks(tasks, task_ids)
    task_ids.append(0)  # found for _NO_NODE, the last index
    return NumberedTasks(tasks, list(map(task_ids.__getitem__, node_of)))


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


def _topological_order(
    ids: Sequence[int], upstream: Sequence[Sequence[int]]
) -> Generator[None, None, tuple[list[int], list[int]]]:
    """Returns the nodes in order, and their numbers in this order.

    Args:
        ids: The index of each node in `upstream`, by its rank: ready nodes follow each other by rank.
        upstream: The indexes of the nodes that each node needs; those that are not in `ids` are disregarded.

    Returns:
        The ranks of the nodes in order, without those of cycles and behind them, and the number of each from 1, by
        index; 0 for all other indexes.
    """
    downstream: list[list[int]] = [[] for _ in upstream]
    waiting: list[int] = []
    is_node: list[bool] = []
    if len(ids) < len(upstream):
        is_node = [False] * len(upstream)
        for node in ids:
            is_node[node] = True
    work = 0
    for rank, node in enumerate(ids):
        needed_nodes = upstream[node]
        count = len(needed_nodes)
        work += 1 + count
        if work >= SLICE:
            work = count
            yield
        waiting.append(sum(map(is_node.__getitem__, needed_nodes)) if is_node else count)
        for needed in needed_nodes:
            downstream[needed].append(rank)
    heappush, heappop = heapq.heappush, heapq.heappop
    ready = [rank for rank, count in enumerate(waiting) if not count]
    numbers = [0] * len(upstream)
    order: list[int] = []
    while ready:
        rank = heappop(ready)
        order.append(rank)
        node = ids[rank]
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
    tasks: list[Task], configs: Mapping[str, JobConfig], digests: ConfigDigests
) -> Generator[None, None, None]:
    """Adds the digests of outputs to tasks that are batches of configurations."""
    for index, task in enumerate(tasks):
        if not index % SLICE:
            yield
        outputs = task.config.outputs
        if len(outputs) > 1 and outputs != configs[outputs[0]].outputs:
            merged = [configs[ref] for ref in outputs]
            yield from digests.add(merged)
            tasks[index] = task._replace(output_digests=tuple([digests.by_id[id(config)] for config in merged]))


def _cycle(
    nodes: Sequence[JobConfig], ids: Sequence[int], upstream: Sequence[Sequence[int]], numbers: Sequence[int]
) -> list[str]:
    # Every node without a number has an upstream node without one. Following these leads into a cycle.
    ranks = {node: rank for rank, node in enumerate(ids) if not numbers[node]}
    rank = min(ranks.values())
    path: dict[int, int] = {}
    while rank not in path:
        path[rank] = len(path)
        rank = min(ranks[needed] for needed in upstream[ids[rank]] if needed in ranks)
    return [nodes[member].outputs[0] for member in list(path)[path[rank] :]]
