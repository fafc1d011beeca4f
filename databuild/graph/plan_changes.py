"""Differences between a plan and the plan that would be made now."""

from __future__ import annotations

from databuild.graph.config_changes import config_changes
from databuild.model.job_graph import Plan
from databuild.v1 import partition_pb2 as pt

_SHOWN = 20


def changes_since(plan: Plan, now: Plan) -> list[str]:
    """Returns what would be planned otherwise now, one sentence each; nothing where all is as it was."""
    changes = []
    if plan.graph_label != now.graph_label:
        changes.append(f"the plan is of the graph {plan.graph_label}, and this is {now.graph_label}")
    changes += [
        f"the code of {label} has changed"
        for label in sorted(plan.code_digests.keys() & now.code_digests.keys())
        if plan.code_digests[label] != now.code_digests[label]
    ]
    changes += _changes_of_partitions(plan, now)
    planned = {task.config.outputs: task for task in plan.tasks}
    changes += [
        f"the configuration of {task.config.outputs[0]} has changed: {config_changes(then.config, task.config)}"
        for task in now.tasks
        if (then := planned.get(task.config.outputs)) and then.configuration_digest != task.configuration_digest
    ]
    considered = {partition.ref for partition in plan.partitions}
    changes += [
        f"the input {ref} has changed"
        for ref in sorted(plan.versions.keys() & now.versions.keys())
        if plan.versions[ref] != now.versions[ref] and ref not in considered
    ]
    if len(changes) > _SHOWN:
        changes[_SHOWN:] = [f"and {len(changes) - _SHOWN} more"]
    return changes


def _changes_of_partitions(plan: Plan, now: Plan) -> list[str]:
    changes = []
    before = {partition.ref: partition for partition in plan.partitions}
    after = {partition.ref: partition for partition in now.partitions}
    for ref in sorted(before.keys() | after.keys()):
        then, today = before.get(ref), after.get(ref)
        if then is None:
            changes.append(f"{ref} has come into the plan")
        elif today is None:
            changes.append(f"{ref} is no longer in the plan")
        elif bool(then.task_id) != bool(today.task_id):
            word = "has to be built now" if today.task_id else "need not be built any more"
            reason = pt.Reason.Name(today.reason).removeprefix("REASON_").lower().replace("_", " ")
            changes.append(f"{ref} {word} ({reason})")
        elif then.version != today.version:
            changes.append(f"{ref} has been built since")
    return changes
