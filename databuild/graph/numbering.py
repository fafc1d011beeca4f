"""Task numbers: a deterministic topological order in which each task follows its upstream tasks."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING

from databuild.errors import DependencyCycleError
from databuild.graph.config_comparison import digest_in_slices
from databuild.graph.freshness import Decision
from databuild.model.job_graph import JobConfig, Task
from databuild.model.pacing import SLICE, slices, sort

if TYPE_CHECKING:
    from databuild.graph.declared.declaration import DeclaredJob


def number_tasks(
    configs: Mapping[str, JobConfig],
    owners: Mapping[str, str],
    digests: Mapping[str, str],
    decisions: Mapping[str, Decision],
    declared: Mapping[str, DeclaredJob] = {},
) -> Generator[None, None, list[Task]]:
    """Returns the tasks that produce the partitions to be built, in the order of their numbers.

    Uses Kahn's algorithm with a heap of ready tasks. Yields at least once per slice (see `Pace`).

    Args:
        configs: The configuration that produces each ref.
        owners: The label of the job that produces each ref.
        digests: The digest of that configuration, by ref.
        decisions: The decision about each ref.
        declared: The declared jobs, by label, of which some put several outputs into one task.

    Raises:
        DependencyCycleError: Tasks depend on each other, although none of their partitions depends on itself.
    """
    refs = yield from sort(ref for ref, decision in decisions.items() if decision.builds)
    nodes = yield from _distinct(refs, configs)
    if declared:
        from databuild.graph.declared.batching import batch_configs

        nodes = yield from batch_configs(nodes, [owners[node.outputs[0]] for node in nodes], declared)
    node_of = yield from _positions(nodes)
    upstream: list[list[int]] = []
    edges = 0
    for config in nodes:
        edges += len(config.materialize) + 1
        if edges >= SLICE:
            edges = 0
            yield
        needs = {node_of[ref] for ref in config.materialize if ref in node_of} if config.materialize else ()
        upstream.append(sorted(needs))
    order, numbers = yield from _topological_order(upstream)
    if len(order) < len(nodes):
        raise DependencyCycleError(_cycle(nodes, upstream, numbers))
    tasks: list[Task] = []
    for node_slice in slices(order):
        yield
        for node in node_slice:
            config = nodes[node]
            first = config.outputs[0]
            needed_tasks = tuple(sorted(numbers[needed] for needed in upstream[node]))
            digest, output_digests = yield from _digests(config, configs[first], digests)
            tasks.append(Task(numbers[node], owners[first], config, needed_tasks, digest, output_digests))
    return tasks


def _topological_order(upstream: list[list[int]]) -> Generator[None, None, tuple[list[int], list[int]]]:
    """Returns the nodes in order, and the number of each from 1; 0 for those of cycles and behind them."""
    downstream: list[list[int]] = [[] for _ in upstream]
    waiting = [len(needs) for needs in upstream]
    for node, needed_nodes in enumerate(upstream):
        if not node % SLICE:
            yield
        for needed in needed_nodes:
            downstream[needed].append(node)
    ready = [node for node, count in enumerate(waiting) if not count]
    numbers = [0] * len(upstream)
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
    return order, numbers


def _digests(
    config: JobConfig, of_first_output: JobConfig, digests: Mapping[str, str]
) -> Generator[None, None, tuple[str, tuple[str, ...]]]:
    """Returns the digest of a task, and those of its outputs if it is a batch."""
    if config.outputs == of_first_output.outputs:
        return digests[config.outputs[0]], ()
    digest = yield from digest_in_slices(config)
    return digest, tuple([digests[ref] for ref in config.outputs])


def _distinct(refs: list[str], configs: Mapping[str, JobConfig]) -> Generator[None, None, list[JobConfig]]:
    """Returns the distinct configurations of refs, in the order of the refs."""
    distinct: list[JobConfig] = []
    covered: set[str] = set()
    for number, ref in enumerate(refs):
        if not number % SLICE:
            yield
        if ref not in covered:
            config = configs[ref]
            covered.update(config.outputs)
            distinct.append(config)
    return distinct


def _positions(nodes: list[JobConfig]) -> Generator[None, None, dict[str, int]]:
    """Returns the index of the configuration that produces each ref."""
    node_of: dict[str, int] = {}
    for number, config in enumerate(nodes):
        if not number % SLICE:
            yield
        node_of.update(dict.fromkeys(config.outputs, number))
    return node_of


def _cycle(nodes: list[JobConfig], upstream: list[list[int]], numbers: list[int]) -> list[str]:
    # Every node without a number has an upstream node without one. Following these leads into a cycle.
    node = next(node for node, number in enumerate(numbers) if not number)
    path: dict[int, int] = {}
    while node not in path:
        path[node] = len(path)
        node = next(needed for needed in upstream[node] if not numbers[needed])
    return [nodes[member].outputs[0] for member in list(path)[path[node] :]]
