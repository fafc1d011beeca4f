"""Batching: one task for the outputs of several configurations of a declared job (`batch_size`, `batch_by`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence

from databuild.graph.declared.declaration import DeclaredJob
from databuild.model.job_graph import JobConfig
from databuild.model.pacing import SLICE


def batch_configs(
    configs: Sequence[JobConfig], labels: Sequence[str], declared: Mapping[str, DeclaredJob]
) -> Generator[None, None, list[JobConfig]]:
    """Merges configurations that one task can run together. Yields at least once per slice (see `Pace`).

    Tasks never depend on each other because of a batch. A batch of a job that no other job leads back to may have any
    of its outputs. If jobs lead back to themselves, as a running balance does, the outputs of a batch have the same
    distance from the beginning.

    Args:
        configs: The configurations, each with other outputs, in the order of the outputs.
        labels: The label of the job of each configuration.
        declared: The declared jobs, by label.
    """
    batched = {label for label in set(labels) if label in declared and declared[label].declaration.is_batched}
    if not batched:
        return list(configs)
    ranks = yield from _ranks(configs, labels, batched)
    merged: list[JobConfig] = []
    groups: dict[tuple[str, int, str], list[JobConfig]] = defaultdict(list)
    for number, (config, label) in enumerate(zip(configs, labels, strict=True)):
        if not number % SLICE:
            yield
        if label in batched:
            # No output of a group needs another one of the group: an output has a higher rank than those that it needs.
            groups[label, ranks[number], declared[label].batch_key(config.outputs[0])].append(config)
        else:
            merged.append(config)
    for (label, _, _), group in groups.items():
        limit = declared[label].declaration.batch_size
        batch: list[JobConfig] = []
        outputs = 0
        for config in group:
            if batch and limit and outputs + len(config.outputs) > limit:
                merged.append((yield from _merged(batch)))
                batch, outputs = [], 0
            batch.append(config)
            outputs += len(config.outputs)
        merged.append((yield from _merged(batch)))
    return sorted(merged, key=lambda config: config.outputs[0])


def _merged(batch: Sequence[JobConfig]) -> Generator[None, None, JobConfig]:
    """Returns a configuration with the outputs and inputs of all; arguments and variables are equal in all of them."""
    if len(batch) == 1:
        return batch[0]
    outputs = yield from _union(config.outputs for config in batch)
    materialize = yield from _union(config.materialize for config in batch)
    query = yield from _union(config.query for config in batch)
    prefixes = yield from _union(config.query_prefixes for config in batch)
    return JobConfig(outputs, materialize, query, batch[0].args, batch[0].env, prefixes)


def _union(groups: Iterable[Sequence[str]]) -> Generator[None, None, tuple[str, ...]]:
    union: dict[str, None] = {}
    work = 0
    for group in groups:
        union.update(dict.fromkeys(group))
        work += 1 + len(group)
        if work >= SLICE:
            work = 0
            yield
    return tuple(union)


def _ranks(
    configs: Sequence[JobConfig], labels: Sequence[str], batched: set[str]
) -> Generator[None, None, Sequence[int]]:
    """Returns a number for each configuration; those with equal numbers may share a task.

    It is the length of the longest way to the configuration through jobs that lead back to each other; 0 for others.
    """
    producer: dict[str, int] = {}
    for number, config in enumerate(configs):
        if not number % SLICE:
            yield
        producer.update(dict.fromkeys(config.outputs, number))
    needs: dict[str, set[str]] = defaultdict(set)
    work = 0
    for config, label in zip(configs, labels, strict=True):
        work += 1 + len(config.materialize)
        if work >= SLICE:
            work = 0
            yield
        needs[label].update(labels[producer[ref]] for ref in config.materialize if ref in producer)
    circular = {label for label in list(needs) if label in _reachable(needs, label)}
    if not batched & circular:
        return [0] * len(configs)
    upstream: list[set[int]] = []
    for config, label in zip(configs, labels, strict=True):
        work += 1 + len(config.materialize)
        if work >= SLICE:
            work = 0
            yield
        needed = {producer[ref] for ref in config.materialize if ref in producer} if label in circular else set()
        upstream.append({number for number in needed if labels[number] in circular})
    return (yield from _longest_ways(upstream))


def _longest_ways(upstream: Sequence[set[int]]) -> Generator[None, None, Sequence[int]]:
    """Returns the number of steps of the longest way to each node of a graph, and of what leads to its cycles."""
    # As in Kahn's algorithm, nodes on a cycle never become ready. `number_tasks` reports the cycle.
    lengths = [0] * len(upstream)
    downstream: list[list[int]] = [[] for _ in upstream]
    for number, needed in enumerate(upstream):
        for other in needed:
            downstream[other].append(number)
    waiting = [len(needed) for needed in upstream]
    ready = [number for number, count in enumerate(waiting) if not count]
    work = 0
    while ready:
        number = ready.pop()
        work += 1
        if not work % SLICE:
            yield
        for other in downstream[number]:
            lengths[other] = max(lengths[other], lengths[number] + 1)
            waiting[other] -= 1
            if not waiting[other]:
                ready.append(other)
    return lengths


def _reachable(needs: Mapping[str, set[str]], label: str) -> set[str]:
    """Returns the jobs that a job needs, directly or not."""
    reached: set[str] = set()
    ahead = [label]
    while ahead:
        for other in needs.get(ahead.pop(), ()):
            if other not in reached:
                reached.add(other)
                ahead.append(other)
    return reached
