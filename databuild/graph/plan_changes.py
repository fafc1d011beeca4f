"""Differences between a saved plan and the plan that would be made now."""

from __future__ import annotations

from databuild.graph.config_comparison import config_changes
from databuild.model.enum_names import as_words, reason_name
from databuild.model.job_graph import Plan

_MAX_CHANGES = 20


def changes_since(plan: Plan, now: Plan) -> list[str]:
    """Describes each difference in one sentence; empty if the saved plan is up to date."""
    changes = []
    if plan.graph_label != now.graph_label:
        changes.append(f"the plan is for the graph {plan.graph_label}, but this graph is {now.graph_label}")
    changes += [
        f"the code of {label} has changed"
        for label in sorted(plan.code_digests.keys() & now.code_digests.keys())
        if plan.code_digests[label] != now.code_digests[label]
    ]
    changes += _changes_of_partitions(plan, now)
    old_tasks = {task.config.outputs: task for task in plan.tasks}
    changes += [
        f"the configuration of {task.config.outputs[0]} has changed: {config_changes(old.config, task.config)}"
        for task in now.tasks
        if (old := old_tasks.get(task.config.outputs)) and old.configuration_digest != task.configuration_digest
    ]
    planned_refs = {partition.ref for partition in plan.partitions}  # their changes are described above
    changes += [
        f"the input {ref} has changed"
        for ref in sorted(plan.versions.keys() & now.versions.keys())
        if plan.versions[ref] != now.versions[ref] and ref not in planned_refs
    ]
    if len(changes) > _MAX_CHANGES:
        changes[_MAX_CHANGES:] = [f"and {len(changes) - _MAX_CHANGES} more"]
    return changes


def _changes_of_partitions(plan: Plan, now: Plan) -> list[str]:
    changes = []
    before = {partition.ref: partition for partition in plan.partitions}
    after = {partition.ref: partition for partition in now.partitions}
    for ref in sorted(before.keys() | after.keys()):
        old, new = before.get(ref), after.get(ref)
        if old is None:
            changes.append(f"{ref} is new in the plan")
        elif new is None:
            changes.append(f"{ref} is no longer in the plan")
        elif bool(old.task_id) != bool(new.task_id):
            change = "has to be built now" if new.task_id else "need not be built any more"
            changes.append(f"{ref} {change} ({as_words(reason_name(new.reason))})")
        elif old.version != new.version:
            changes.append(f"{ref} has been built since")
    return changes
