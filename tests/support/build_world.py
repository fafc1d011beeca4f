"""An event log in memory and jobs that are functions, for tests of `run_build`."""

import asyncio
import json

from databuild.event_log.open import open_event_log
from databuild.executors.executor import ProcessResult
from databuild.graph.catalog import Job, JobCatalog
from databuild.model.build_options import BuildOptions
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from tests.support.fake_executor import NoProcesses

DONE = ProcessResult(exit_code=0, duration_seconds=1.0, cpu_seconds=0.5, peak_memory_bytes=1000)
RAW, CLEAN = "//:raw", "//:clean"


def config(output, *inputs, args=()):
    needed = [{"dep_type_code": "MATERIALIZE", "partition_ref": {"str": ref}} for ref in inputs]
    outputs = [{"str": ref} for ref in ([output] if isinstance(output, str) else output)]
    return {"outputs": outputs, "inputs": needed, "args": list(args)}


class FakeExecutor(NoProcesses):
    """Runs functions in place of processes, and remembers what it ran.

    `configs` answers for a ref, `runs` for a job label: a function of the environment and the report function.
    """

    def __init__(self, **runs) -> None:
        self.ran = []
        self.configs = {}
        self.answer = None
        self.runs = {f"//:{name}": run for name, run in runs.items()}

    async def run(self, spec, on_report=None):
        await asyncio.sleep(0)
        label = spec.env["DATABUILD_JOB_LABEL"]
        if spec.argv[1] == "config":
            if self.answer is not None:
                return self.answer
            configs = [self.configs.get(ref) or self.usual(ref) for ref in spec.argv[2:]]
            return ProcessResult(exit_code=0, stdout=json.dumps({"configs": configs}).encode())
        self.ran.append((label, spec.env["DATABUILD_ATTEMPT"]))
        run = self.runs.get(label, lambda _env, _report: DONE)
        result = run(spec.env, lambda line: on_report(json.dumps(line).encode()))
        return await result if asyncio.iscoroutine(result) else result

    @staticmethod
    def usual(ref):
        return config(ref, ref.replace("clean", "raw")) if ref.startswith("clean") else config(ref)


def jobs(**settings):
    return JobCatalog(
        graph_label="//:g",
        jobs={
            label: Job(label=label, executable=label, outputs=(pattern,), code_digest=digest, **settings)
            for label, pattern, digest in ((RAW, "raw/{n:int}", "r"), (CLEAN, "clean/{n:int}", "c"))
        },
    )


class World:
    """One event log, one executor, one folder."""

    def __init__(self, tmp_path) -> None:
        self.log = open_event_log("memory:")
        self.executor = FakeExecutor()
        self.catalog = jobs()
        self.settings = Settings(working_directory="/", log_directory=str(tmp_path))

    async def build(self, build, *refs, plan=None, jobs=1, **options):
        options = BuildOptions(jobs=jobs, **options)
        return await run_build(
            BuildRequest(build_request_id=build, requested=refs, options=options, plan=plan),
            BuildContext(catalog=self.catalog, event_log=self.log, executor=self.executor, settings=self.settings),
        )

    async def plan(self, *refs, **options):
        return await make_plan(
            refs,
            catalog=self.catalog,
            reader=self.log.reader(),
            executor=self.executor,
            settings=self.settings,
            **options,
        )

    def records(self, *refs):
        return self.log.reader().partition_records(refs)

    def runs(self, build):
        return [(run.job_run_id, run.status) for run in self.log.reader().job_runs(build)]

    def statuses(self, build):
        return {one.ref: one.status for one in self.log.reader().build_partitions(build)}


def warnings_of(world, build):
    return [
        list(event.build_request.warnings) for event in world.log.reader().events(build) if event.build_request.status
    ]
