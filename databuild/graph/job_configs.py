"""The configurations of partitions: from declarations, or from the answers of jobs to `config`, which are checked."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from databuild.errors import AmbiguousPartitionError, JobConfigurationError
from databuild.graph.batches import batches
from databuild.graph.catalog import JobCatalog
from databuild.graph.ownership import Ownership
from databuild.graph.planning_monitor import PlanningMonitor
from databuild.graph.ports import Configure
from databuild.model.job_graph import JobConfig
from databuild.model.pacing import SLICE, Pace, slices, sort

if TYPE_CHECKING:
    from databuild.graph.declared.declaration import DeclaredJob

_MAX_EDGES: Final = 4 * SLICE
"""The maximum number of outputs and inputs of the declared configurations that are made at once."""


class JobConfigs:
    """The configurations of one analysis.

    Attributes:
        by_ref: The configuration that produces each ref.
    """

    def __init__(
        self,
        catalog: JobCatalog,
        configure: Configure,
        ownership: Ownership,
        monitor: PlanningMonitor,
        pace: Pace,
        *,
        concurrency: int,
    ) -> None:
        """Knows no configuration yet.

        Args:
            catalog: The jobs.
            configure: Asks a job for its configurations.
            ownership: The job that produces each ref.
            monitor: Notified of calls.
            pace: Lets the event loop run.
            concurrency: The maximum number of calls at once.
        """
        self.by_ref: dict[str, JobConfig] = {}
        self._catalog = catalog
        self._declared = catalog.declared
        self._configure = configure
        self._ownership = ownership
        self._owners = ownership.labels
        self._monitor = monitor
        self._pace = pace
        self._concurrency = max(1, concurrency)
        self._call_slots = asyncio.Semaphore(self._concurrency)
        self._interned: dict[JobConfig, JobConfig] = {}
        self._batch_sizes: dict[str, int] = {}

    async def find(self, refs: Collection[str]) -> None:
        """Finds the configurations of refs that have none yet: from declarations, or by asking their jobs."""
        missing = [ref for ref in refs if ref not in self.by_ref]
        if self._declared and missing:
            await self.find_declared(missing)
            missing = [ref for ref in missing if ref not in self.by_ref]
        if missing:
            await self.ask(missing)

    async def find_declared(self, refs: Sequence[str], *, ahead: bool = False) -> None:
        """Finds the configurations of the outputs of declared jobs.

        Args:
            refs: The refs; those of other jobs are left out.
            ahead: True to leave out refs whose configuration is invalid, since they may not be needed.

        Raises:
            JobConfigurationError: A template yields no valid value.
        """
        for refs_slice in slices(refs):
            await self._pace.rest()
            for label, outputs in self._by_job(refs_slice).items():
                if (job := self._declared.get(label)) is not None:
                    await self._find_outputs_of(job, outputs, ahead=ahead)

    def _by_job(self, refs: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Returns refs by the label of their job."""
        labels = [self._owners[ref] for ref in refs]
        if labels.count(labels[0]) == len(labels):
            return {labels[0]: refs}
        by_job: dict[str, list[str]] = defaultdict(list)
        for label, ref in zip(labels, refs, strict=True):
            by_job[label].append(ref)
        return by_job

    async def _find_outputs_of(self, job: DeclaredJob, refs: Sequence[str], *, ahead: bool) -> None:
        start = 0
        while start < len(refs):
            size = self._batch_sizes.get(job.label, 1)
            configs = self._configs_at_once(job, refs[start : start + size], ahead=ahead)
            start += size
            edges = sum([len(config.materialize) + len(config.query) for config in configs])
            # Other outputs probably have as many inputs as these.
            self._batch_sizes[job.label] = min(2 * size, max(1, size * _MAX_EDGES // (size + edges)))
            if self._pace.due(size + edges):
                await self._pace.rest()
            for config in configs:
                if config.query:
                    await self._check_query_inputs(job.label, config.outputs[:1], config.query)
            self._store_declared(job, configs)

    def _configs_at_once(self, job: DeclaredJob, refs: Sequence[str], *, ahead: bool) -> list[JobConfig]:
        try:
            return job.configs(refs, self._ownership.unproduced, self._ownership.take_rows(refs))
        except JobConfigurationError:
            if len(refs) == 1:
                if ahead:
                    return []
                raise
        return [config for ref in refs for config in self._configs_at_once(job, (ref,), ahead=ahead)]

    def _store_declared(self, job: DeclaredJob, configs: Sequence[JobConfig]) -> None:
        if len(job.outputs) == 1:
            self.by_ref.update(zip([config.outputs[0] for config in configs], configs, strict=True))
            return
        for config in configs:
            shared = self._interned.setdefault(config, config)
            self._owners.update(dict.fromkeys(config.outputs, job.label))
            self.by_ref.update(dict.fromkeys(config.outputs, shared))

    async def ask(self, refs: Sequence[str]) -> None:
        """Asks the jobs that produce refs for their configurations."""
        if len(refs) == 1:
            # A link of a chain. Tasks for one call would take a large part of its time.
            label = self._owners[refs[0]]
            await self._accept_answer(label, refs, await self._call(label, refs))
            return
        by_job: dict[str, list[str]] = defaultdict(list)
        for refs_slice in slices(refs):
            await self._pace.rest()
            for label, outputs in self._by_job(refs_slice).items():
                by_job[label] += outputs
        await _gather([self._ask_job(label, job_refs) for label, job_refs in sorted(by_job.items())])

    async def _ask_job(self, label: str, refs: Sequence[str]) -> None:
        """Asks one job for the configurations of refs, in batches; skips refs that an earlier answer has configured."""
        # The refs that a batch skips must not depend on the timing of calls, or a plan would not be reproducible.
        # So an answer is accepted only when its slot is needed for a later batch, in the order of batches.
        running: deque[tuple[Sequence[str], asyncio.Task[Sequence[JobConfig]]]] = deque()
        try:
            for batch in batches(await self._pace.drive(sort(refs))):
                await self._pace.rest()
                if len(running) == self._concurrency:
                    await self._accept_call(label, *running.popleft())
                unconfigured = [ref for ref in batch if ref not in self.by_ref]
                if unconfigured:
                    running.append((unconfigured, asyncio.ensure_future(self._call(label, unconfigured))))
            while running:
                await self._accept_call(label, *running.popleft())
        except BaseException:
            await _cancel([call for _, call in running])
            raise

    async def _accept_call(self, label: str, asked: Sequence[str], call: asyncio.Task[Sequence[JobConfig]]) -> None:
        try:
            configs = await call
        except BaseException:
            await _cancel([call])
            raise
        await self._accept_answer(label, asked, configs)

    async def _accept_answer(self, label: str, asked: Sequence[str], configs: Sequence[JobConfig]) -> None:
        # A job may answer with outputs that it was not asked for. Their owners are checked too.
        unasked: list[str] = []
        for config in configs:
            for outputs in (config.outputs,) if len(config.outputs) == 1 else slices(config.outputs):
                if self._pace.due(len(outputs)):
                    await self._pace.rest()
                unasked += [output for output in outputs if output not in self._owners]
        await self._ownership.try_find(unasked)
        await self._accept(label, asked, configs)

    async def _call(self, label: str, refs: Sequence[str]) -> Sequence[JobConfig]:
        async with self._call_slots:
            self._monitor.call_started(label)
            try:
                return await self._configure(self._catalog.jobs[label], refs)
            finally:
                self._monitor.call_ended(label)

    async def _accept(self, label: str, asked: Sequence[str], configs: Sequence[JobConfig]) -> None:
        """Checks the configs that a job answered, and stores them by output."""
        for answered in configs:
            # Equal configs become one object, so that configs of outputs are compared by identity.
            config = self._interned.setdefault(answered, answered) if len(answered.outputs) > 1 else answered
            if answered.query:
                await self._check_query_inputs(label, asked, answered.query)
            for outputs in (config.outputs,) if len(config.outputs) == 1 else slices(config.outputs):
                if self._pace.due(len(outputs)):
                    await self._pace.rest()
                for output in outputs:
                    owner = self._owners.get(output)
                    if owner != label:
                        raise JobConfigurationError(label, self._foreign_output_fault(output, owner), refs=asked)
                    stored = self.by_ref.setdefault(output, config)
                    if stored is not config and stored != config:
                        message = (
                            f"{label}, once for {', '.join(stored.outputs[:3])} "
                            f"and once for {', '.join(config.outputs[:3])}"
                        )
                        raise AmbiguousPartitionError(output, [message])
        for refs in slices(asked):
            await self._pace.rest()
            for ref in [ref for ref in refs if ref not in self.by_ref]:
                fault = f"it was asked for {ref!r}, and no config that it answered has that output"
                raise JobConfigurationError(label, fault, refs=asked)

    async def _check_query_inputs(self, label: str, asked: Sequence[str], refs: Sequence[str]) -> None:
        for refs_slice in slices(refs):
            if self._pace.due(len(refs_slice)):
                await self._pace.rest()
            for ref in refs_slice:
                if fault := self._catalog.segment_fault(ref):
                    message = f"it answered with the input {ref!r}, which is not a partition ref: {fault}"
                    raise JobConfigurationError(label, message, refs=asked)

    def _foreign_output_fault(self, output: str, owner: str | None) -> str:
        fault = self._catalog.segment_fault(output)
        if fault:
            return f"it answered with the output {output!r}, which is not a partition ref: {fault}"
        producer = f"{owner} produces" if owner else "none of its patterns matches"
        return f"it answered with the output {output!r}, which {producer}"


async def _gather(coroutines: Sequence[Coroutine[None, None, None]]) -> None:
    """Runs coroutines concurrently. If one raises, cancels the others and awaits their end before it raises."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        await _cancel(tasks)
        raise


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancels tasks and awaits their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
