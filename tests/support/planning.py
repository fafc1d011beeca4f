"""Jobs and records in memory, for tests of planning."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Self

from databuild.graph.analysis import analyze
from databuild.graph.catalog import Job, JobCatalog
from databuild.graph.ports import Configure as AnyConfigure
from databuild.graph.ports import Lookup, PartitionRecords, PlanningObserver
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig, Plan
from databuild.model.planning import PlanningProgress
from databuild.model.records import InputVersion, Manifest, PartitionRecord
from databuild.v1 import partition_pb2 as pt

RAW, CLEAN, REPORT = "//:raw", "//:clean", "//:report"


def catalog(**digests: str) -> JobCatalog:
    patterns = {RAW: "raw/{d:int}", CLEAN: "clean/{d:int}", REPORT: "report/{d:int}"}
    return JobCatalog(
        graph_label="//:g",
        jobs={
            label: Job(label=label, executable=label, code_digest=digests.get(label[3:], "1"), outputs=(pattern,))
            for label, pattern in patterns.items()
        },
    )


class Configure:
    """Answers for the jobs, and remembers the requests."""

    def __init__(self, **answers: Callable[[str], JobConfig]) -> None:
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.answers: dict[str, Callable[[str], JobConfig]] = {
            RAW: lambda ref: JobConfig((ref,)),
            CLEAN: lambda ref: JobConfig((ref,), (ref.replace("clean", "raw"),)),
            REPORT: lambda ref: JobConfig((ref,), ("clean/1", "clean/2"), ("outside",)),
            **{f"//:{name}": answer for name, answer in answers.items()},
        }

    async def __call__(self, job: Job, refs: Sequence[str]) -> list[JobConfig]:
        self.calls.append((job.label, tuple(refs)))
        await asyncio.sleep(0)
        return list(dict.fromkeys(self.answers[job.label](ref) for ref in refs))


class Records(dict[str, PartitionRecord]):
    """Records of partitions; `build` adds everything that a plan builds."""

    def partition_records(self, refs: Collection[str]) -> dict[str, PartitionRecord]:
        return {ref: self[ref] for ref in refs if ref in self}

    def build(self, plan: Plan, run: str = "run1", versions: Mapping[str, str] | None = None) -> Self:
        for task in plan.tasks:
            inputs = tuple(InputVersion(ref, self[ref].version) for ref in task.config.materialize)
            manifest = Manifest(task.job_label, plan.code_digests[task.job_label], task.configuration_digest, inputs)
            for ref in task.config.outputs:
                version = (versions or {}).get(ref, f"{run}.{ref}")
                self[ref] = PartitionRecord(ref, "AVAILABLE", "b", 0, True, version, run, "b", manifest)
        return self


async def plan(
    refs: Sequence[str],
    records: PartitionRecords | None = None,
    configure: AnyConfigure | None = None,
    graph: JobCatalog | None = None,
    options: PlanOptions = PlanOptions(),
    *,
    lookup: Lookup | None = None,
    observer: PlanningObserver | None = None,
) -> Plan:
    return await analyze(
        refs,
        graph or catalog(),
        configure or Configure(),
        Records() if records is None else records,
        options=options,
        lookup=lookup,
        observer=observer,
    )


def reasons(made: Plan) -> dict[str, str]:
    return {partition.ref: pt.Reason.Name(partition.reason)[7:] for partition in made.partitions}


def outputs(made: Plan) -> list[str]:
    return [task.config.outputs[0] for task in made.tasks]


class Told:
    """Remembers the notifications of planning."""

    def __init__(self) -> None:
        self.progress: list[PlanningProgress] = []
        self.warnings: list[str] = []

    def planning(self, progress: PlanningProgress) -> None:
        self.progress.append(progress)

    def warned(self, warning: str) -> None:
        self.warnings.append(warning)


def any_catalog() -> JobCatalog:
    jobs = {"//:any": Job(label="//:any", executable="any", outputs=("any/{k:/.+/}",))}
    return JobCatalog(graph_label="//:g", jobs=jobs)
