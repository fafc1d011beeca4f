"""Another run of a recorded job run on this machine."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing
from pathlib import Path

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import some_of
from databuild.executors.local import LocalExecutor
from databuild.model.reproduction import Reproduction
from databuild.orchestration.reproduction.another_run import AnotherRun, refusals, run_again, unplaced_inputs
from databuild.orchestration.reproduction.recorded_run import RecordedRun, RunReads, describe, read_run
from databuild.orchestration.reproduction.scratch import Scratch
from databuild.tuples import NamedTuple


class LocalReproduction(NamedTuple):
    """The result of `reproduce --run`.

    Attributes:
        reproduction: The recorded job run.
        refusals: The reasons why it was not run again, one sentence each.
        folder: The scratch folder; empty without another run.
        another_run: The comparison with another run; None if it was refused.
    """

    reproduction: Reproduction
    refusals: tuple[str, ...]
    folder: str = ""
    another_run: AnotherRun | None = None


def reproduce(call: Invocation, job_run_id: str) -> LocalReproduction:
    """Runs a job run again in a scratch folder, unless its program or an input is not the recorded one.

    Raises:
        JobRunNotFoundError: There is no such job run.
        BuildPrunedError: The events of its build were pruned.
        InvalidRequestError: It has never started, or the scratch folder cannot be used.
    """
    catalog = call.catalog()
    with closing(call.open_reader()) as reader:
        recorded = read_run(reader, job_run_id)
        reproduction = describe(recorded, reader, catalog.jobs.get(recorded.task.job_label))
        refused = tuple(refusals(reproduction, catalog))
        if refused:
            return LocalReproduction(reproduction, refused)
        _warn(call, reproduction)
        folder = call.flags["scratch_dir"]
        scratch = Scratch(Path(call.path(folder) if folder else tempfile.mkdtemp(prefix="databuild-reproduce-")))
        another = asyncio.run(_run(call, recorded, reproduction, reader, scratch))
        return LocalReproduction(reproduction, (), str(scratch.folder), another)


async def _run(
    call: Invocation, recorded: RecordedRun, reproduction: Reproduction, reader: RunReads, scratch: Scratch
) -> AnotherRun:
    working_directory = _working_directory(call, reproduction)
    environment = scratch.environment(call.job_environ, workspace=call.workspace, working_directory=working_directory)
    executor = LocalExecutor(base_env=environment)
    try:
        with executor.guarded(recorded.job_run.build_request_id):
            return await run_again(
                recorded,
                reproduction,
                catalog=call.catalog(),
                reader=reader,
                executor=executor,
                scratch=scratch,
                working_directory=working_directory,
            )
    finally:
        await executor.close()


def _working_directory(call: Invocation, reproduction: Reproduction) -> str:
    return reproduction.origin.working_directory or call.cwd


def _warn(call: Invocation, reproduction: Reproduction) -> None:
    warnings = []
    unplaced = unplaced_inputs(reproduction)
    if unplaced:
        warnings.append(
            f"the place of {some_of(unplaced)} is unknown, because its job has not reported it, so the scratch folder "
            "does not have the data"
        )
    if reproduction.job_run.executor:
        warnings.append(f"the job run was on {reproduction.job_run.executor}, and runs on this machine now")
    call.err.warn(*warnings)
