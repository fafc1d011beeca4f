"""Whole builds over an event log in memory, with an executor whose jobs are functions."""

import asyncio
import json

import pytest

from databuild.errors import BuildNotFoundError, InvalidRequestError, JobConfigurationError, PlanChangedError
from databuild.event_log.open import open_event_log
from databuild.executors.executor import ProcessResult
from databuild.executors.start_faults import StartFault
from databuild.graph.catalog import Job, JobCatalog, RetryPolicy
from databuild.model.build_options import BuildOptions
from databuild.model.results import Cancelled, Failed, FailFast, Success
from databuild.orchestration.build.admission import ImmediateAdmission
from databuild.orchestration.build.build_context import BuildContext
from databuild.orchestration.build.make_plan import make_plan
from databuild.orchestration.build.retry import partitions_to_retry
from databuild.orchestration.build.run_build import run_build
from databuild.orchestration.build.settings import BuildRequest, Settings
from databuild.orchestration.events.payloads import TASKS_PER_EVENT
from databuild.v1 import events_pb2 as ev
from databuild.v1 import partition_pb2 as pt
from tests.fake_executor import NoProcesses

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

    def __init__(self, **runs):
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

    def __init__(self, tmp_path):
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


@pytest.fixture
async def world(tmp_path):
    made = World(tmp_path)
    yield made
    await made.log.close()


async def test_what_a_job_measured_and_used_is_kept(world):
    def raw(_env, report):
        report({"partition": {"ref": "raw/1", "contentDigest": "d1", "metadata": {"rows": 3}}})
        report({"metric": {"name": "rows", "value": 3}})
        report({"check": {"name": "positive", "passed": True}})
        report({"progress": {"fraction": 0.5}})
        return DONE

    world.executor.runs[RAW] = raw

    assert await world.build("b", "raw/1") == Success(jobs_completed=1)

    record = world.records("raw/1")["raw/1"]
    assert (record.version, record.metadata) == ("d1", {"rows": 3})
    run = world.log.reader().job_run("b.1.1")
    assert (run.duration_seconds, run.cpu_seconds, run.peak_memory_bytes) == (1.0, 0.5, 1000)
    events = world.log.reader().events("b")
    assert [event.check.result.name for event in events if event.HasField("check")] == ["positive"]
    ended = next(event.job for event in events if event.job.status == ev.JOB_STATUS_COMPLETED)
    assert [metric.name for metric in ended.metrics] == ["rows"]


def failed_check(ref="", severity="SEVERITY_ERROR"):
    return {"check": {"name": "rows", "passed": False, "severity": severity, "ref": ref, "message": "none"}}


def checking(*reports):
    def run(_env, report):
        for one in reports:
            report(one)
        return DONE

    return run


async def test_a_failed_check_fails_the_job_run_and_taints_what_it_checked_only(world):
    world.executor.configs["raw/1"] = world.executor.configs["raw/2"] = config(["raw/1", "raw/2"])
    world.executor.runs[RAW] = checking(failed_check("raw/2"))

    result = await world.build("b", "raw/1", "raw/2", keep_going=True)

    assert result.jobs_failed == 1
    run = world.log.reader().job_run("b.1.1")
    assert run.failure.message == "the check 'rows' of 'raw/2' did not pass: none"
    assert world.statuses("b") == {"raw/1": "AVAILABLE", "raw/2": "FAILED"}
    records = world.records("raw/1", "raw/2")
    assert (records["raw/1"].available, records["raw/1"].tainted) == (True, False)
    assert (records["raw/2"].available, records["raw/2"].tainted) == (False, True)


async def test_a_check_that_failed_before_its_partition_was_reported_finished_counts(world):
    world.executor.runs[RAW] = checking(failed_check("raw/1"), {"partition": {"ref": "raw/1"}})

    await world.build("b", "raw/1")

    assert world.statuses("b") == {"raw/1": "FAILED"}


async def test_a_check_that_failed_after_its_partition_was_reported_finished_taints_it(world):
    world.executor.runs[RAW] = checking({"partition": {"ref": "raw/1"}}, failed_check("raw/1"))

    await world.build("b", "raw/1")

    record = world.records("raw/1")["raw/1"]
    assert (record.available, record.tainted) == (True, True)
    assert record.taint_reason == "b.1.1: the check 'rows' did not pass"
    plan = await world.plan("raw/1")
    assert [partition.reason for partition in plan.partitions] == [pt.REASON_TAINTED]


async def test_a_check_of_the_whole_run_is_about_all_outputs_and_one_of_an_input_too(world):
    world.executor.runs[RAW] = checking(failed_check())
    await world.build("b", "raw/1")
    assert world.statuses("b") == {"raw/1": "FAILED"}

    world.executor.runs[RAW] = checking()
    world.executor.runs[CLEAN] = checking(failed_check("raw/1"))
    await world.build("c", "clean/1")

    assert world.statuses("c")["clean/1"] == "FAILED"
    record = world.records("raw/1")["raw/1"]
    assert (record.available, record.tainted) == (True, True)


async def test_data_that_passes_the_next_time_is_no_longer_tainted(world):
    world.catalog = jobs(retry=RetryPolicy(retries=1))
    world.executor.runs[RAW] = lambda env, report: checking(
        *([failed_check("raw/1")] if env["DATABUILD_ATTEMPT"] == "1" else [])
    )(env, report)

    assert await world.build("b", "raw/1") == Success(jobs_completed=1)

    assert not world.records("raw/1")["raw/1"].tainted


async def test_a_failed_check_of_a_lesser_severity_is_only_recorded(world):
    world.executor.runs[RAW] = checking(failed_check("raw/1", "SEVERITY_WARNING"))

    assert await world.build("b", "raw/1") == Success(jobs_completed=1)

    assert not world.records("raw/1")["raw/1"].tainted


async def test_a_check_of_what_the_run_has_nothing_to_do_with_fails_it(world):
    world.executor.runs[RAW] = checking(failed_check("raw/9"))

    await world.build("b", "raw/1")

    message = world.log.reader().job_run("b.1.1").failure.message
    assert message == "the report checks 'raw/9', which is neither an output nor an input of this job run"


async def test_what_a_failed_run_reported_finished_is_kept(world):
    world.executor.configs["raw/1"] = config(["raw/1", "raw/2"])

    def half(_env, report):
        report({"partition": {"ref": "raw/1"}})
        return ProcessResult(exit_code=7)

    world.executor.runs[RAW] = half

    assert await world.build("b", "raw/1") == FailFast(trigger_job=RAW)

    assert world.statuses("b") == {"raw/1": "AVAILABLE", "raw/2": "FAILED"}
    assert world.records("raw/2")["raw/2"].failure.message == "ended with exit code 7"


async def test_inputs_rebuilt_to_the_same_content_leave_downstream_alone(world):
    def raw(_env, report):
        report({"partition": {"ref": "raw/1", "content_digest": "same"}})
        return DONE

    world.executor.runs[RAW] = raw
    await world.build("b1", "clean/1")
    world.catalog.jobs[RAW] = Job(label=RAW, executable=RAW, outputs=("raw/{n:int}",), code_digest="new")

    assert await world.build("b2", "clean/1") == Success(jobs_completed=1)

    assert world.runs("b2") == [("b2.1.1", "COMPLETED"), ("b2.2.0", "SKIPPED")]
    assert world.statuses("b2") == {"clean/1": "DELEGATED", "raw/1": "AVAILABLE"}
    assert world.records("clean/1")["clean/1"].produced_by_build_request_id == "b1"


async def test_inputs_rebuilt_to_something_else_do_not(world):
    await world.build("b1", "clean/1")
    world.catalog.jobs[RAW] = Job(label=RAW, executable=RAW, outputs=("raw/{n:int}",), code_digest="new")

    assert await world.build("b2", "clean/1") == Success(jobs_completed=2)


async def test_a_failed_attempt_is_a_job_run_of_its_own(world):
    world.catalog = jobs(retry=RetryPolicy(retries=1))
    world.executor.runs[RAW] = lambda env, _: ProcessResult(exit_code=2 - int(env["DATABUILD_ATTEMPT"]))

    assert await world.build("b", "raw/1") == Success(jobs_completed=1)

    assert world.runs("b") == [("b.1.1", "FAILED"), ("b.1.2", "COMPLETED")]
    assert "next attempt in 0 seconds" in world.log.reader().job_run("b.1.1").failure.message


async def test_an_attempt_that_reported_everything_and_failed_is_tried_again(world):
    world.catalog = jobs(retry=RetryPolicy(retries=1))

    def raw(env, report):
        report({"partition": {"ref": "raw/1"}})
        return ProcessResult(exit_code=2 - int(env["DATABUILD_ATTEMPT"]))

    world.executor.runs[RAW] = raw

    assert await world.build("b", "raw/1") == Success(jobs_completed=1)
    assert world.runs("b") == [("b.1.1", "FAILED"), ("b.1.2", "COMPLETED")]


async def test_fail_fast_ends_everything_with_its_reason(world):
    world.executor.runs[RAW] = lambda env, _: ProcessResult(exit_code=int(env["DATABUILD_JOB_RUN_ID"] == "b.1.1"))

    result = await world.build("b", "clean/1", "raw/2", "raw/3")

    assert result == FailFast(trigger_job=RAW)
    assert world.statuses("b") == dict.fromkeys(["clean/1", "raw/1", "raw/2", "raw/3"], "FAILED")
    assert dict(world.runs("b")) == {
        "b.1.1": "FAILED",
        "b.2.0": "SKIPPED",
        "b.3.0": "CANCELLED",
        "b.4.0": "CANCELLED",
    }
    failures = {one.ref: one.failure for one in world.log.reader().build_partitions("b")}
    assert failures["clean/1"].category == "MISSING_DATA"
    assert "was not asked to keep going" in failures["raw/2"].message


async def test_keep_going_builds_what_can_be_built(world):
    world.executor.runs[RAW] = lambda env, _: ProcessResult(exit_code=int(env["DATABUILD_JOB_RUN_ID"] == "b.1.1"))

    result = await world.build("b", "clean/1", "clean/2", keep_going=True)

    assert result == Failed(jobs_completed=2, jobs_failed=1, message="1 task failed")
    assert world.statuses("b") == {"clean/1": "FAILED", "raw/1": "FAILED", "clean/2": "AVAILABLE", "raw/2": "AVAILABLE"}
    assert partitions_to_retry(world.log.reader(), "b") == ("clean/1", "clean/2")
    assert partitions_to_retry(world.log.reader(), "b", failed_jobs_only=True) == ("raw/1",)


@pytest.mark.parametrize(
    ("result", "category", "said"),
    [
        (
            ProcessResult(exit_code=-9),
            "INFRASTRUCTURE",
            "was ended by signal 9 (SIGKILL); the machine or container may have run out of memory",
        ),
        (ProcessResult(exit_code=-15, timed_out=True), "TIMEOUT", "ran longer than its timeout of 5 seconds"),
        (
            ProcessResult(exit_code=-1, start_fault=StartFault(message="it is not there")),
            "INFRASTRUCTURE",
            "could not be started: it is not there",
        ),
    ],
)
async def test_whose_fault_a_failure_is(world, result, category, said):
    world.catalog = jobs(timeout_seconds=5.0)
    world.executor.runs[RAW] = lambda _env, _report: result

    await world.build("b", "raw/1")

    failure = world.log.reader().job_run("b.1.1").failure
    assert (failure.category, failure.message) == (category, said)


async def test_a_report_that_cannot_be_read_fails_the_run(world):
    def raw(_env, report):
        report({"partition": {"ref": "raw/9"}})
        report({"nonsense": 1})
        return DONE

    world.executor.runs[RAW] = raw

    assert isinstance(await world.build("b", "raw/1"), FailFast)
    assert "'raw/9', which is not an output" in world.log.reader().job_run("b.1.1").failure.message


async def test_cancelling_ends_what_ran_and_what_did_not(world):
    started = asyncio.Event()

    async def hang(_env, _report):
        started.set()
        await asyncio.Event().wait()

    world.executor.runs[RAW] = hang
    building = asyncio.create_task(world.build("b", "clean/1"))
    await started.wait()
    building.cancel()

    assert await building == Cancelled()
    assert world.runs("b") == [("b.1.1", "CANCELLED")]
    assert world.statuses("b") == {"clean/1": "FAILED", "raw/1": "FAILED"}
    assert world.log.reader().build("b").status == "CANCELLED"


class SlowLog:
    """An event log that keeps a status to itself until it is let go on."""

    def __init__(self, log, status):
        self._log = log
        self._status = status
        self.reached = asyncio.Event()
        self.going_on = asyncio.Event()

    def append(self, events):
        if any(event.build_request.status == self._status for event in events):
            return asyncio.ensure_future(self._later(events))
        return self._log.append(events)

    async def _later(self, events):
        self.reached.set()
        await self.going_on.wait()
        await self._log.append(events)

    def __getattr__(self, name):
        return getattr(self._log, name)


async def test_cancelling_while_the_end_is_written_leaves_the_end_as_it_is(world):
    log, world.log = world.log, SlowLog(world.log, ev.BUILD_STATUS_COMPLETED)
    building = asyncio.create_task(world.build("b", "raw/1"))
    await world.log.reached.wait()
    building.cancel()
    await asyncio.sleep(0)
    building.cancel()
    await asyncio.sleep(0)
    world.log.going_on.set()

    assert await building == Success(jobs_completed=1)
    assert log.reader().build("b").status == "COMPLETED"


async def test_cancelling_while_the_request_is_written_cancels_the_build(world):
    writing = asyncio.Event()
    log, world.log = world.log, SlowLog(world.log, None)
    append = log.append
    world.log.append = lambda events: (writing.set(), append(events))[1]
    building = asyncio.create_task(world.build("b", "raw/1"))
    await writing.wait()
    building.cancel()

    assert await building == Cancelled()
    assert [event.build_request.status for event in log.reader().events("b") if event.HasField("build_request")] == [
        ev.BUILD_STATUS_RECEIVED,
        ev.BUILD_STATUS_CANCELLED,
    ]


async def test_a_request_to_cancel_is_found_in_the_event_log(world):
    async def hang(_env, _report):
        request = ev.BuildEvent(event_id="c/1", build_request_id="c", sequence=1)
        request.cancel_request.target_build_request_id = "b"
        request.cancel_request.author = "ann"
        await world.log.append([request])
        await asyncio.Event().wait()

    world.executor.runs[RAW] = hang

    assert await world.build("b", "raw/1") == Cancelled(author="ann")
    assert "cancelled by ann" in world.log.reader().build("b").failure.message
    assert world.log.reader().events("b")[-1].build_request.cancelled_by == "ann"


async def test_a_plan_is_run_exactly_or_not_at_all(world):
    plan = await world.plan("clean/1")
    await world.build("b1", "raw/1")

    with pytest.raises(PlanChangedError) as raised:
        await world.build("b2", "clean/1", plan=plan)

    assert "raw/1 need not be built any more" in str(raised.value)
    assert world.log.reader().build("b2").status == "FAILED"
    end = world.log.reader().events("b2")[-1].build_request
    assert (end.error.code, end.error.message) == ("PLAN_CHANGED", str(raised.value))
    assert list(end.error.facts["differences"]) == list(raised.value.differences)
    assert await world.build("b3", "clean/1", plan=await world.plan("clean/1")) == Success(jobs_completed=1)


async def test_a_forced_build_builds_what_was_asked_for_only(world):
    await world.build("b1", "clean/1")

    assert await world.build("b2", "clean/1", force=True) == Success(jobs_completed=1)
    assert world.executor.ran[-1] == (CLEAN, "1")


async def test_stale_data_is_used_when_asked_to(world):
    await world.build("b1", "clean/1")
    world.catalog.jobs[CLEAN] = Job(label=CLEAN, executable=CLEAN, outputs=("clean/{n:int}",), code_digest="new")

    assert await world.build("b2", "clean/1", reuse_stale=True) == Success(jobs_completed=0)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ProcessResult(exit_code=-1, start_fault=StartFault(message="no file")), "could not be started: no file"),
        (ProcessResult(exit_code=3, stderr=b"no idea"), "exit code 3\nno idea"),
        (ProcessResult(exit_code=-15, timed_out=True), "ran longer than its timeout of 5 seconds"),
        (ProcessResult(exit_code=0, stdout=b"oops"), "'oops', which is not a JobConfigureResponse"),
    ],
)
async def test_a_config_that_fails_fails_the_build_and_names_the_job(world, answer, said):
    world.catalog = jobs(timeout_seconds=5.0)
    world.executor.answer = answer

    with pytest.raises(JobConfigurationError, match=RAW) as raised:
        await world.build("b", "raw/1")

    assert said in str(raised.value)
    assert world.log.reader().build("b").status == "FAILED"


async def test_a_fault_of_our_own_ends_the_build_and_comes_out(world):
    def broken(_env, _report):
        message = "surprise"
        raise RuntimeError(message)

    world.executor.runs[RAW] = broken

    with pytest.raises(RuntimeError, match="surprise"):
        await world.build("b", "raw/1")

    build = world.log.reader().build("b")
    assert (build.status, build.failure.category) == ("FAILED", "INFRASTRUCTURE")
    assert "RuntimeError: surprise" in build.failure.message


async def test_a_folder_for_logs_that_cannot_be_made_is_named(world, tmp_path):
    (tmp_path / "file").write_text("")
    world.settings = Settings(working_directory="/", log_directory=str(tmp_path / "file"))

    with pytest.raises(InvalidRequestError, match="cannot be created") as raised:
        await world.build("b", "raw/1")

    assert raised.value.remedy == "OTHER_STATE_DIRECTORY"
    assert world.log.reader().build("b").status == "FAILED"


async def test_only_what_failed_can_be_retried(world):
    await world.build("good", "raw/1")
    world.executor.answer = ProcessResult(exit_code=3)
    with pytest.raises(JobConfigurationError):
        await world.build("unplanned", "raw/2")
    reader = world.log.reader()

    with pytest.raises(InvalidRequestError, match="nothing to retry") as completed:
        partitions_to_retry(reader, "good")
    assert completed.value.remedy == "BUILD_WITH_FORCE"
    with pytest.raises(InvalidRequestError, match="no job of build unplanned failed") as unplanned:
        partitions_to_retry(reader, "unplanned", failed_jobs_only=True)
    assert unplanned.value.remedy == "RETRY_EVERYTHING"
    with pytest.raises(BuildNotFoundError):
        partitions_to_retry(reader, "nobody")


async def test_a_lookup_is_run_for_a_graph_that_has_one(world, tmp_path):
    world.catalog = JobCatalog(
        graph_label="//:g", jobs={RAW: Job(label=RAW, executable=RAW, code_digest="r")}, lookup="/bin/lookup"
    )
    usual = world.executor.run

    async def run(spec, on_report=None):
        if spec.argv[0] == "/bin/lookup":
            return ProcessResult(exit_code=0, stdout=json.dumps(dict.fromkeys(spec.argv[1:], RAW)).encode())
        return await usual(spec, on_report)

    world.executor.run = run

    assert await world.build("b", "anything") == Success(jobs_completed=1)


async def test_a_build_waits_for_its_turn_once_its_request_is_recorded(world):
    class Admission(ImmediateAdmission):
        def received(self):
            waiting = world.log.reader().build("b")
            calls.append((waiting.status, waiting.requested))

        async def admit(self):
            calls.append(list(world.executor.ran))
            return ""

    calls = []

    assert await run_build(
        BuildRequest(build_request_id="b", requested=("raw/1",)),
        BuildContext(
            catalog=world.catalog,
            event_log=world.log,
            executor=world.executor,
            settings=world.settings,
            admission=Admission(),
        ),
    ) == Success(jobs_completed=1)
    assert calls == [("RECEIVED", ("raw/1",)), []]


async def test_a_build_that_is_cancelled_while_it_waits_for_its_turn_says_by_whom(world):
    class Admission(ImmediateAdmission):
        async def admit(self):
            return "ann"

    result = await run_build(
        BuildRequest(build_request_id="b", requested=("raw/1",)),
        BuildContext(
            catalog=world.catalog,
            event_log=world.log,
            executor=world.executor,
            settings=world.settings,
            admission=Admission(),
        ),
    )

    assert result == Cancelled(author="ann")
    assert world.executor.ran == []
    assert world.log.reader().build("b").failure.message == "the build was cancelled by ann"


def warnings_of(world, build):
    return [
        list(event.build_request.warnings) for event in world.log.reader().events(build) if event.build_request.status
    ]


async def test_query_inputs_that_nothing_has_produced_are_warned_of_at_the_end(world):
    reading = config("clean/1")
    reading["inputs"] = [{"partition_ref": {"str": ref}} for ref in ("outside", "raw/7")]
    world.executor.configs["clean/1"] = reading

    await world.build("b", "clean/1")
    *before, last = warnings_of(world, "b")

    assert not any(before)
    assert len(last) == 1
    assert "'outside', which 'clean/1' reads (no job is known to produce it)" in last[0]
    assert "'raw/7', which 'clean/1' reads (//:raw produces it)" in last[0]


async def test_query_inputs_that_came_to_be_while_the_build_ran_are_not_warned_of(world):
    async def clean(_env, _report):
        await world.build("other", "raw/7")
        return DONE

    world.executor.runs[CLEAN] = clean
    world.executor.configs["clean/1"] = config("clean/1") | {"inputs": [{"partition_ref": {"str": "raw/7"}}]}

    await world.build("b", "clean/1")

    assert not any(warnings_of(world, "b"))


async def test_a_build_that_is_cancelled_while_it_plans_much_ends_as_cancelled(world):
    world.executor.configs["clean/1"] = config("clean/1", *(f"raw/{number}" for number in range(20_000)))
    planned = []

    class Observer:
        def planning(self, progress):
            planned.append(progress.partitions)
            if progress.partitions > 10_000:
                building.cancel("ann")

        def warned(self, _warning):
            raise AssertionError

    request = BuildRequest(build_request_id="b", requested=("clean/1",))
    rest = {"catalog": world.catalog, "event_log": world.log, "executor": world.executor, "settings": world.settings}
    building = asyncio.ensure_future(run_build(request, BuildContext(**rest, planning=Observer())))

    assert await building == Cancelled(author="ann")
    assert max(planned) == 20_001
    assert world.executor.ran == []
    assert "SCHEDULED" not in world.statuses("b").values()


def causes(plan):
    return {one.ref: (pt.Reason.Name(one.reason).removeprefix("REASON_"), one.cause) for one in plan.partitions}


async def test_a_changed_configuration_is_told_with_its_old_and_new_values_from_the_events_of_the_past_build(world):
    failures = iter([1, 0, 1, 0])

    def raw(env, _report):
        failing = env["DATABUILD_ATTEMPT"] == "1" and next(failures, 0)
        return ProcessResult(exit_code=1) if failing else DONE

    world.catalog = jobs(retry=RetryPolicy(retries=1))
    world.executor.runs[RAW] = raw
    refs = [f"raw/{number}" for number in range(TASKS_PER_EVENT + 200)]
    world.executor.configs = {ref: config(ref, args=["day", ref]) for ref in refs}
    await world.build("b", *refs)
    changed = (refs[0], refs[7], refs[TASKS_PER_EVENT + 150])
    for ref in changed:
        world.executor.configs[ref] = config(ref, args=["day", f"{ref}/new"])

    made = await world.plan(*refs, past=world.log.reader())
    assert {ref: why for ref, why in causes(made).items() if why[0] != "UP_TO_DATE"} == {
        ref: ("CONFIGURATION_CHANGED", f"argument 2 was '{ref}' and is '{ref}/new'") for ref in changed
    }
    unread = await world.plan(changed[0])
    assert causes(unread)[changed[0]][1].startswith("an argument or a variable; the earlier ones are no")

    await world.build("c", *changed)
    events = world.log.reader().events("c")
    scheduled = [one.partition for one in events if one.partition.status == pt.PARTITION_STATUS_SCHEDULED]
    assert {one.ref: one.cause for one in scheduled} == {ref: causes(made)[ref][1] for ref in changed}


async def test_what_differs_between_a_plan_and_now_is_told_with_the_part_of_the_configuration(world):
    world.executor.configs["raw/1"] = config("raw/1", args=["old"])
    plan = await world.plan("raw/1")
    world.executor.configs["raw/1"] = config("raw/1", args=["new"])

    with pytest.raises(
        PlanChangedError, match=r"configuration of raw/1 has changed: argument 1 was 'old' and is 'new'"
    ):
        await world.build("b", "raw/1", plan=plan)
