"""`environments`: lists environments, compares one with the base, promotes its data to the base, or removes it."""

from __future__ import annotations

from collections.abc import Callable

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import counted, table, time_text
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.near_form import near_form
from databuild.cli.flags.usage_error import UsageError
from databuild.model.environment_views import Difference, EnvironmentView, PartitionComparison


def run(call: Invocation) -> int:
    action, *rest = call.positionals or ["list"]
    actions: dict[str, Callable[[Invocation, list[str]], int]] = {
        "list": _list,
        "diff": _diff,
        "promote": _promote,
        "remove": _remove,
    }
    if action not in actions:
        hint = near_form(call.command, action) or "use list, diff, promote or remove"
        raise UsageError(f"{action!r} is no action of environments; {hint}", call.command)
    return actions[action](call, rest)


def _list(call: Invocation, rest: list[str]) -> int:
    if rest:
        raise UsageError(f"environments list takes no {rest[0]!r}", call.command)
    views = call.backend().environments()
    if call.json:
        call.out.json({"environments": [view._asdict() for view in views]})
    elif not views:
        call.out.line("there are no environments; `build --environment=NAME` makes one")
    else:
        rows = [("ENVIRONMENT", "BUILDS", "PARTITIONS", "NEWEST BUILD"), *map(_row, views)]
        call.out.write(table(rows))
    return BUILT


def _row(view: EnvironmentView) -> tuple[str, str, str, str]:
    newest = time_text(view.updated_time) if view.updated_time else "-"
    return view.name, f"{view.builds:,}", f"{view.partitions:,}", newest


def _diff(call: Invocation, rest: list[str]) -> int:
    name, *texts = _named(call, rest, "diff")
    counts = {"NEW": 0, "CHANGED": 0, "SAME": 0}
    listed: list[PartitionComparison] = []
    for one in call.backend().compare_environment(name, texts):
        counts[one.status] += 1
        if call.json:
            listed.append(one)
        elif one.status != "SAME":
            _print(call, one)
    if call.json:
        partitions = [
            {
                "ref": one.ref,
                "status": one.status,
                "job_label": one.job_label,
                "differences": [difference._asdict() for difference in one.differences],
            }
            for one in listed
        ]
        call.out.json({"environment": name, "counts": counts, "partitions": partitions})
    else:
        total = counted(sum(counts.values()), "partition")
        call.out.line(
            f"{total} of {name}: {counts['CHANGED']:,} changed, {counts['NEW']:,} new, {counts['SAME']:,} the same"
        )
    return BUILT


def _print(call: Invocation, one: PartitionComparison) -> None:
    call.out.line(f"{one.status.lower()} {one.ref}")
    for difference in one.differences:
        call.out.line(f"  {difference.subject}: {_values(difference)}")


def _values(difference: Difference) -> str:
    if difference.base is None:
        return f"{difference.environment}, not in the base"
    if difference.environment is None:
        return f"{difference.base} in the base only"
    return f"{difference.base} -> {difference.environment}"


def _promote(call: Invocation, rest: list[str]) -> int:
    name, *texts = _named(call, rest, "promote")
    author, reason = call.flags["author"].strip(), call.flags["reason"].strip()
    promotion = call.backend().promote_environment(name, texts, author=author, reason=reason)
    if call.json:
        call.out.json(promotion._asdict())
        return BUILT
    count = counted(len(promotion.promoted), "partition")
    if promotion.promoted:
        call.out.line(f"promoted {count} of {name}; builds of the base use them as they are")
    elif promotion.left_out:
        call.out.line(f"promoted nothing of {name}")
    else:
        call.out.line(f"nothing to promote: the base has all data of {name} already")
    for ref, fault in promotion.left_out.items():
        call.out.line(f"  left out {ref}: {fault}")
    return BUILT


def _remove(call: Invocation, rest: list[str]) -> int:
    name, *more = _named(call, rest, "remove")
    if more:
        raise UsageError(f"environments remove takes one NAME, not {more[0]!r} as well", call.command)
    removed = call.backend().remove_environment(name, delete_data=call.flags["delete_data"])
    if call.json:
        call.out.json({"environment": name, "deleted": removed.deleted, "kept": removed.kept})
        return BUILT
    deleted = (
        f" and deleted the data of {counted(len(removed.deleted), 'partition')}" if call.flags["delete_data"] else ""
    )
    call.out.line(f"removed the environment {name}{deleted}")
    for uri, reason in removed.kept.items():
        call.out.line(f"  kept {uri}: {reason}")
    return BUILT


def _named(call: Invocation, rest: list[str], action: str) -> list[str]:
    if not rest:
        raise UsageError(f"environments {action} takes the NAME of an environment", call.command)
    return rest
