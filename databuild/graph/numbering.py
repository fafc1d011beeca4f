"""Numbers tasks so that each stands after its upstream tasks, the same way every time."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from databuild.errors import DependencyCycleError
from databuild.graph.freshness import Decision
from databuild.model.job_graph import JobConfig, Task


def number_tasks(
    configs: Mapping[str, JobConfig],
    owners: Mapping[str, str],
    digests: Mapping[str, str],
    decisions: Mapping[str, Decision],
) -> list[Task]:
    """Returns the tasks that produce the partitions which have to be built, in the order of their numbers.

    Args:
        configs: The configuration that produces each ref.
        owners: The label of the job that produces each ref.
        digests: The digest of the configuration that produces each ref.
        decisions: What was decided about each ref.

    Raises:
        DependencyCycleError: Tasks need each other, through outputs of which none needs itself.
    """
    wanted = sorted(ref for ref, decision in decisions.items() if decision.builds)
    nodes: list[JobConfig] = []
    node_of: dict[str, int] = {}
    for ref in wanted:
        if ref not in node_of:
            config = configs[ref]
            for output in config.outputs:
                node_of[output] = len(nodes)
            nodes.append(config)
    upstream = [
        sorted({node_of[ref] for ref in config.materialize if ref in node_of}) if config.materialize else []
        for config in nodes
    ]
    downstream: list[list[int]] = [[] for _ in nodes]
    waiting = [len(needs) for needs in upstream]
    for node, needs in enumerate(upstream):
        for needed in needs:
            downstream[needed].append(node)
    ready = [node for node, count in enumerate(waiting) if not count]
    numbers = [0] * len(nodes)
    order: list[int] = []
    while ready:
        node = heapq.heappop(ready)
        order.append(node)
        numbers[node] = len(order)
        for following in downstream[node]:
            waiting[following] -= 1
            if not waiting[following]:
                heapq.heappush(ready, following)
    if len(order) < len(nodes):
        raise DependencyCycleError(_cycle(nodes, upstream, numbers))
    return [
        Task(
            numbers[node],
            owners[nodes[node].outputs[0]],
            nodes[node],
            tuple(sorted(numbers[needed] for needed in upstream[node])),
            digests[nodes[node].outputs[0]],
        )
        for node in order
    ]


def _cycle(nodes: list[JobConfig], upstream: list[list[int]], numbers: list[int]) -> list[str]:
    node = next(node for node, number in enumerate(numbers) if not number)
    path: list[int] = []
    while node not in path:
        path.append(node)
        node = next(needed for needed in upstream[node] if not numbers[needed])
    return [nodes[one].outputs[0] for one in path[path.index(node) :]]
