"""`check [REF...]`: checks the graph. `databuild_graph_test` runs it.

1. Loading the catalog fails if two patterns overlap.
2. Each default partition needs a producer, by the patterns or the lookup.
3. For all partitions of declared jobs, a proof looks for an input without a producer and for a cycle.
4. A plan for the given refs fails on an input without a producer, and on a cycle, of any job.
5. A second plan has to be equal to the first one; otherwise the `config` of a job is not deterministic.
"""

from __future__ import annotations

import asyncio

from databuild.cli.backend.invocation import Invocation
from databuild.cli.backend.local_plan import plan_for
from databuild.cli.backend.requested_partitions import expand
from databuild.cli.display.formats import counted, some_of
from databuild.cli.flags.exit_codes import BUILT, JOB_FAILED
from databuild.errors import InvalidRequestError, JobConfigurationError, LookupFaultError
from databuild.executors.local import LocalExecutor
from databuild.graph.catalog import JobCatalog
from databuild.graph.ownership import Ownership
from databuild.graph.record_cache import NoRecords
from databuild.model.job_graph import Plan
from databuild.orchestration.jobs.lookup_process import lookup_for


class _Results:
    """The results of checks: as text each is printed at once, as JSON all of them at the end.

    Attributes:
        has_fault: True if a check found a fault.
    """

    def __init__(self, call: Invocation) -> None:
        self._call = call
        self._results: list[dict[str, str]] = []
        self.has_fault = False

    def add(self, outcome: str, text: str) -> None:
        """Adds a result, whose outcome is `ok`, `FAULT`, `not proven` or `not checked`."""
        self.has_fault |= outcome == "FAULT"
        if self._call.json:
            self._results.append({"outcome": outcome.upper().replace(" ", "_"), "text": text})
        else:
            self._call.out.line(f"{outcome}: {text}")

    def print_json(self) -> None:
        self._call.out.json({"ok": not self.has_fault, "checks": self._results})


def run(call: Invocation) -> int:
    """Prints the result of each check, until one finds a fault."""
    results = _Results(call)
    try:
        _check(call, results)
    except (InvalidRequestError, JobConfigurationError, LookupFaultError) as error:
        results.add("FAULT", str(error))
    if call.json:
        results.print_json()
    return JOB_FAILED if results.has_fault else BUILT


def _check(call: Invocation, results: _Results) -> None:
    catalog = call.catalog()
    results.add("ok", f"{counted(len(catalog.jobs), 'job')} of {catalog.graph_label}, no two patterns overlap")
    _check_default_partitions(call, catalog, results)
    _prove(catalog, results)
    if results.has_fault:
        return
    refs = expand(call, call.positionals)
    if not refs:
        if unproven := len(catalog.jobs) - len(catalog.declared):
            jobs = counted(unproven, "job with `config`", "jobs with `config`")
            results.add("not checked", f"inputs, cycles and config of {jobs}; name at least one REF to check them")
        return
    first, second = (plan_for(call, refs, reader=NoRecords()) for _ in range(2))
    results.add("ok", f"{some_of(refs)}: every input has a producer, and there is no cycle ({_size(first)})")
    changed = _differences(first, second)
    if changed:
        text = f"config is not deterministic: two calls gave different answers for {some_of(changed)}"
        results.add("FAULT", text)
    else:
        results.add("ok", "config is deterministic")


def _check_default_partitions(call: Invocation, catalog: JobCatalog, results: _Results) -> None:
    """Checks that each default partition has a producer. Asks no job for its configuration.

    Raises:
        InvalidRequestError: A default partition has no producer, or is neither a ref nor a range.
        LookupFaultError: The lookup failed, or its answer is invalid.
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
    results.add("ok", f"{counted(len(refs), 'default partition')}, each with a producer")


def _prove(catalog: JobCatalog, results: _Results) -> None:
    """Proves that inputs of declared jobs have producers and that there is no cycle. An undecided proof is no fault."""
    if not catalog.declared:
        return
    from databuild.graph.proofs.coverage import check_coverage
    from databuild.graph.proofs.cycles import check_cycles
    from databuild.graph.proofs.links import Links

    links = Links(catalog)
    coverage = check_coverage(catalog, links)
    cycles = check_cycles(catalog, links)
    for fault in (*coverage.missing, *cycles.chains):
        results.add("FAULT", str(fault))
    for undecided in (*coverage.undecided, *cycles.undecided):
        results.add("not proven", str(undecided))
    jobs = f"all partitions of {counted(len(catalog.declared), 'declared job')}"
    if catalog.lookup:
        results.add("not proven", "that inputs have producers, since the lookup decides which job produces a partition")
    elif not coverage.missing and not coverage.undecided:
        results.add("ok", f"{jobs}: every input has a producer ({counted(coverage.templates, 'template')})")
    if not cycles.chains and not cycles.undecided:
        job_cycles = counted(cycles.job_cycles, "cycle between jobs", "cycles between jobs")
        results.add("ok", f"{jobs}: none needs itself ({job_cycles})")


def _size(plan: Plan) -> str:
    return f"{counted(len(plan.tasks), 'task')}, {counted(len(plan.partitions), 'partition')}"


def _differences(first: Plan, second: Plan) -> list[str]:
    """Returns the refs whose configurations differ, sorted."""
    configs = [{ref: task.config for task in plan.tasks for ref in task.config.outputs} for plan in (first, second)]
    return sorted(ref for ref in {*configs[0], *configs[1]} if configs[0].get(ref) != configs[1].get(ref))
