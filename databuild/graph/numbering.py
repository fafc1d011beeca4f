"""Task numbers: a deterministic topological order in which each task follows its upstream tasks."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Mapping

from databuild.errors import DependencyCycleError
from databuild.graph.freshness import Decision
from databuild.model.job_graph import JobConfig, Task
from databuild.model.pacing import SLICE, slices, sort


def number_tasks(
    configs: Mapping[str, JobConfig],
    owners: Mapping[str, str],
    digests: Mapping[str, str],
    decisions: Mapping[str, Decision],
) -> Generator[None, None, list[Task]]:
    """Returns the tasks that produce the partitions to be built, in the order of their numbers.

    Uses Kahn's algorithm with a heap of ready tasks. Yields at least once per slice (see `Pace`).

    Args:
        configs: The configuration that produces each ref.
        owners: The label of the job that produces each ref.
        digests: The digest of that configuration, by ref.
        decisions: The decision about each ref.

    Raises:
        DependencyCycleError: Tasks depend on each other, although none of their partitions depends on itself.
    """
    refs = yield from sort(ref for ref, decision in decisions.items() if decision.builds)
    nodes, node_of = yield from _nodes(refs, configs)
    upstream: list[list[int]] = []
    edges = 0
    for config in nodes:
        edges += len(config.materialize) + 1
        if edges >= SLICE:
            edges = 0
            yield
        needs = {node_of[ref] for ref in config.materialize if ref in node_of} if config.materialize else ()
        upstream.append(sorted(needs))
    downstream: list[list[int]] = [[] for _ in nodes]
    waiting = [len(needs) for needs in upstream]
    for node, needed_nodes in enumerate(upstream):
        if not node % SLICE:
            yield
        for needed in needed_nodes:
            downstream[needed].append(node)
    ready = [node for node, count in enumerate(waiting) if not count]
    numbers = [0] * len(nodes)
    order: list[int] = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        numbers[node] = len(order)
        if not len(order) % SLICE:
            yield
        for dependent in downstream[node]:
            waiting[dependent] -= 1
            if not waiting[dependent]:
                heapq.heappush(ready, dependent)
    if len(order) < len(nodes):
        raise DependencyCycleError(_cycle(nodes, upstream, numbers))
    tasks: list[Task] = []
    for node_slice in slices(order):
        yield
        for node in node_slice:
            config = nodes[node]
            first = config.outputs[0]
            needed_tasks = tuple(sorted(numbers[needed] for needed in upstream[node]))
            tasks.append(Task(numbers[node], owners[first], config, needed_tasks, digests[first]))
    return tasks


def _nodes(
    refs: list[str], configs: Mapping[str, JobConfig]
) -> Generator[None, None, tuple[list[JobConfig], dict[str, int]]]:
    """Returns the distinct configurations of refs, and the index of the configuration of each ref."""
    nodes: list[JobConfig] = []
    node_of: dict[str, int] = {}
    for number, ref in enumerate(refs):
        if not number % SLICE:
            yield
        if ref not in node_of:
            config = configs[ref]
            node_of.update(dict.fromkeys(config.outputs, len(nodes)))
            nodes.append(config)
    return nodes, node_of


def _cycle(nodes: list[JobConfig], upstream: list[list[int]], numbers: list[int]) -> list[str]:
    # Every node without a number has an upstream node without one. Following these leads into a cycle.
    node = next(node for node, number in enumerate(numbers) if not number)
    path: dict[int, int] = {}
    while node not in path:
        path[node] = len(path)
        node = next(needed for needed in upstream[node] if not numbers[needed])
    return [nodes[member].outputs[0] for member in list(path)[path[node] :]]
