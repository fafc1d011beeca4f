"""`check [REF...]`: whether the graph holds together; what databuild_graph_test runs.

Loading the catalog checks that patterns do not overlap. Planning sampled refs from nothing checks that every input has
a producer and that there are no cycles. Planning them twice shows whether `config` is deterministic.
"""

from __future__ import annotations

from databuild.cli.exit_codes import BUILT, JOB_FAILED
from databuild.cli.invocation import Invocation
from databuild.cli.output import counted, some_of
from databuild.cli.partitions import expand
from databuild.cli.planning import NothingKnown, plan_for
from databuild.errors import InvalidRequestError, JobConfigurationError, LookupFaultError
from databuild.model.job_graph import Plan


def run(call: Invocation) -> int:
    """Prints what was checked, and each fault found."""
    out = call.out
    try:
        catalog = call.catalog()
        out.line(f"ok: {counted(len(catalog.jobs), 'job')} of {catalog.graph_label}, no two patterns overlap")
        refs = expand(call, call.positionals)
        if not refs:
            out.line("nothing else was checked: no ref is named")
            return BUILT
        first, second = (plan_for(call, refs, reader=NothingKnown()) for _ in range(2))
    except (InvalidRequestError, JobConfigurationError, LookupFaultError) as error:
        out.line(f"FAULT: {error}")
        return JOB_FAILED
    out.line(f"ok: {some_of(refs)}: every input has a producer, and there is no cycle ({_size(first)})")
    changed = _differences(first, second)
    if changed:
        out.line(f"FAULT: config is not deterministic; asked twice, it answered differently for {some_of(changed)}")
        return JOB_FAILED
    out.line("ok: config is deterministic")
    return BUILT


def _size(plan: Plan) -> str:
    return f"{counted(len(plan.tasks), 'task')}, {counted(len(plan.partitions), 'partition')}"


def _differences(first: Plan, second: Plan) -> list[str]:
    """Returns the refs whose configurations differ, sorted."""
    configs = [{ref: task.config for task in plan.tasks for ref in task.config.outputs} for plan in (first, second)]
    return sorted(ref for ref in {*configs[0], *configs[1]} if configs[0].get(ref) != configs[1].get(ref))
