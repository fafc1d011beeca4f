"""Jobs and records in memory, for tests of planning."""

import asyncio

from databuild.graph.analysis import analyze
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.build_options import PlanOptions
from databuild.model.job_graph import JobConfig
from databuild.model.records import InputVersion, Manifest, PartitionRecord
from databuild.v1 import partition_pb2 as pt

RAW, CLEAN, REPORT = "//:raw", "//:clean", "//:report"


def catalog(**digests):
    patterns = {RAW: "raw/{d:int}", CLEAN: "clean/{d:int}", REPORT: "report/{d:int}"}
    return JobCatalog(
        graph_label="//:g",
        jobs={
            label: Job(label=label, executable=label, code_digest=digests.get(label[3:], "1"), outputs=(pattern,))
            for label, pattern in patterns.items()
        },
    )


class Configure:
    """Answers as the jobs would, and remembers what it was asked."""

    def __init__(self, **answers) -> None:
        self.calls = []
        self.answers = {
            RAW: lambda ref: JobConfig((ref,)),
            CLEAN: lambda ref: JobConfig((ref,), (ref.replace("clean", "raw"),)),
            REPORT: lambda ref: JobConfig((ref,), ("clean/1", "clean/2"), ("outside",)),
            **{f"//:{name}": answer for name, answer in answers.items()},
        }

    async def __call__(self, job, refs):
        self.calls.append((job.label, tuple(refs)))
        await asyncio.sleep(0)
        return list(dict.fromkeys(self.answers[job.label](ref) for ref in refs))


class Records(dict):
    """Knows partitions; `build` makes everything a plan would have made."""

    def partition_records(self, refs):
        return {ref: self[ref] for ref in refs if ref in self}

    def build(self, plan, run="run1", versions=None):
        for task in plan.tasks:
            inputs = tuple(InputVersion(ref, self[ref].version) for ref in task.config.materialize)
            manifest = Manifest(task.job_label, plan.code_digests[task.job_label], task.configuration_digest, inputs)
            for ref in task.config.outputs:
                version = (versions or {}).get(ref, f"{run}.{ref}")
                self[ref] = PartitionRecord(ref, "AVAILABLE", "b", 0, True, version, run, "b", manifest)
        return self


async def plan(refs, records=None, configure=None, graph=None, options=PlanOptions(), **more):
    return await analyze(
        refs, graph or catalog(), configure or Configure(), records or Records(), options=options, **more
    )


def reasons(made):
    return {partition.ref: pt.Reason.Name(partition.reason)[7:] for partition in made.partitions}


def outputs(made):
    return [task.config.outputs[0] for task in made.tasks]


class Told:
    """Remembers what planning tells."""

    def __init__(self) -> None:
        self.progress = []
        self.warnings = []

    def planning(self, progress) -> None:
        self.progress.append(progress)

    def warned(self, warning) -> None:
        self.warnings.append(warning)


def any_catalog(**options):
    jobs = {"//:any": Job(label="//:any", executable="any", outputs=("any/{k:/.+/}",))}
    return JobCatalog(graph_label="//:g", jobs=jobs, **options)
