"""`check [REF...]`: whether the graph holds together; what databuild_graph_test runs.

Loading the catalog checks that patterns do not overlap. The patterns, or the lookup, say whether each default partition
has a producer; no job is asked for its configuration. Planning sampled refs from nothing checks that every input has a
producer and that there are no cycles. Planning them twice shows whether `config` is deterministic.
"""

from __future__ import annotations

import asyncio

from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.planning import NothingKnown, plan_for
from databuild.cli.backend.requested_partitions import expand
from databuild.cli.display.output import counted, some_of
from databuild.cli.flags.exit_codes import BUILT, JOB_FAILED
from databuild.errors import InvalidRequestError, JobConfigurationError, LookupFaultError
from databuild.executors.local import LocalExecutor
from databuild.graph.catalog import JobCatalog
from databuild.graph.ownership import Ownership
from databuild.model.job_graph import Plan
from databuild.orchestration.jobs.lookup_process import lookup_for


def run(call: Invocation) -> int:
    """Prints what was checked, and each fault found."""
    out = call.out
    try:
        catalog = call.catalog()
        out.line(f"ok: {counted(len(catalog.jobs), 'job')} of {catalog.graph_label}, no two patterns overlap")
        _check_default_partitions(call, catalog)
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


def _check_default_partitions(call: Invocation, catalog: JobCatalog) -> None:
    """Checks that each default partition has a producer.

    Raises:
        InvalidRequestError: One has none, or is neither a ref nor a range.
        LookupFaultError: The lookup failed, or its answer cannot be used.
    """
    if not catalog.default_partitions:
        return
    try:
        refs = catalog.expand(catalog.default_partitions)
        lookup = lookup_for(catalog, LocalExecutor(base_env=call.environ), call.cwd)
        asyncio.run(Ownership(catalog, lookup).find(refs))
    except InvalidRequestError as error:
        message = f"default_partitions of {catalog.graph_label}: {error}"
        raise InvalidRequestError(message) from error
    call.out.line(f"ok: {counted(len(refs), 'default partition')}, each with a producer")


def _size(plan: Plan) -> str:
    return f"{counted(len(plan.tasks), 'task')}, {counted(len(plan.partitions), 'partition')}"


def _differences(first: Plan, second: Plan) -> list[str]:
    """Returns the refs whose configurations differ, sorted."""
    configs = [{ref: task.config for task in plan.tasks for ref in task.config.outputs} for plan in (first, second)]
    return sorted(ref for ref in {*configs[0], *configs[1]} if configs[0].get(ref) != configs[1].get(ref))
