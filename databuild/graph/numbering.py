"""Numbers tasks so that each stands after its upstream tasks, the same way every time."""

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
    """Finds the tasks that produce the partitions which have to be built, in the order of their numbers.

    Yields now and then (see `Pace`).

    Args:
        configs: The configuration that produces each ref.
        owners: The label of the job that produces each ref.
        digests: The digest of the configuration that produces each ref.
        decisions: What was decided about each ref.

    Raises:
        DependencyCycleError: Tasks need each other, through outputs of which none needs itself.
    """
    wanted = yield from sort(ref for ref, decision in decisions.items() if decision.builds)
    nodes, node_of = yield from _nodes(wanted, configs)
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
        for following in downstream[node]:
            waiting[following] -= 1
            if not waiting[following]:
                heapq.heappush(ready, following)
    if len(order) < len(nodes):
        raise DependencyCycleError(_cycle(nodes, upstream, numbers))
    tasks: list[Task] = []
    for some in slices(order):
        yield
        for node in some:
            config = nodes[node]
            first = config.outputs[0]
            needed_tasks = tuple(sorted(numbers[needed] for needed in upstream[node]))
            tasks.append(Task(numbers[node], owners[first], config, needed_tasks, digests[first]))
    return tasks


def _nodes(
    wanted: list[str], configs: Mapping[str, JobConfig]
) -> Generator[None, None, tuple[list[JobConfig], dict[str, int]]]:
    """Finds the configurations that are needed, each once, and which of them produces each ref."""
    nodes: list[JobConfig] = []
    node_of: dict[str, int] = {}
    for number, ref in enumerate(wanted):
        if not number % SLICE:
            yield
        if ref not in node_of:
            config = configs[ref]
            node_of.update(dict.fromkeys(config.outputs, len(nodes)))
            nodes.append(config)
    return nodes, node_of


def _cycle(nodes: list[JobConfig], upstream: list[list[int]], numbers: list[int]) -> list[str]:
    node = next(node for node, number in enumerate(numbers) if not number)
    path: dict[int, int] = {}
    while node not in path:
        path[node] = len(path)
        node = next(needed for needed in upstream[node] if not numbers[needed])
    return [nodes[one].outputs[0] for one in list(path)[path[node] :]]
