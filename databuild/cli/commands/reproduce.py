"""`reproduce JOB_RUN`: shows what is needed to run a job run again, or runs it again and compares the result."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import bytes_text, launcher_command, place_text, version_text
from databuild.cli.display.output import as_json
from databuild.cli.flags.exit_codes import BAD_REQUEST, BUILT, JOB_FAILED
from databuild.cli.flags.usage_error import UsageError

if TYPE_CHECKING:
    from databuild.model.records import Location
    from databuild.model.reproduction import Reproduction
    from databuild.orchestration.reproduction.another_run import AnotherRun

_MAX_LINES = 20


def run(call: Invocation) -> int:
    """Prints one job run, and with `--run` the comparison with another run of it."""
    if len(call.positionals) != 1:
        raise UsageError(f"reproduce takes one JOB_RUN, not {len(call.positionals)}", call.command)
    if not call.flags["run"]:
        if call.flags["scratch_dir"]:
            raise UsageError("--scratch_dir is the folder of --run; give both", call.command)
        reproduction = call.backend().reproduction(call.positionals[0])
        if call.json:
            call.out.json({**as_json(reproduction), "command": _command(call, reproduction)})
        else:
            _print(call, reproduction)
        return BUILT
    return _run_again(call)


def _run_again(call: Invocation) -> int:
    from databuild.cli.backend.local_reproduction import reproduce

    result = reproduce(call, call.positionals[0])
    another = result.another_run
    if call.json:
        from databuild.orchestration.reproduction.another_run import as_document

        call.out.json(
            {
                **as_json(result.reproduction),
                "command": _command(call, result.reproduction),
                "refusals": result.refusals,
                "scratch_dir": result.folder,
                "another_run": as_document(another) if another is not None else None,
            }
        )
    else:
        _print(call, result.reproduction)
        for refusal in result.refusals[:_MAX_LINES]:
            call.out.line(f"refused    {refusal}")
        if another is not None:
            _print_comparison(call, another, result.folder)
    if another is None:
        return BAD_REQUEST
    return BUILT if another.same else JOB_FAILED


def _print(call: Invocation, reproduction: Reproduction) -> None:
    run, origin = reproduction.job_run, reproduction.origin
    exit_code = f", exit code {run.exit_code}" if run.exit_code is not None else ""
    facts = {
        "job run": f"{run.job_run_id} {run.status}{exit_code}",
        "graph": reproduction.graph_label,
        "job": run.job_label,
        "commit": origin.commit or "unknown",
        "code": reproduction.code_digest or "unknown",
        "machine": " ".join(filter(None, (origin.machine or "unknown", origin.platform))),
        "ran": place_text(run, call.clock()) or "in a process of its own",
        "directory": origin.working_directory or "unknown",
        "arguments": shlex.join(reproduction.args),
        "variables": " ".join(reproduction.environment_names),
    }
    for name, text in facts.items():
        call.out.line(f"{name:<10} {text}".rstrip())
    for used in reproduction.inputs[:_MAX_LINES]:
        query = " (QUERY)" if used.query else ""
        call.out.line(
            f"input      {used.ref} {version_text(used.version) or '(no record)'}{query}{_place(used.location)}"
        )
        if used.change:
            call.out.line(f"changed    {used.ref} {used.change}")
    _print_rest(call, "input", len(reproduction.inputs))
    for output in reproduction.outputs[:_MAX_LINES]:
        call.out.line(f"output     {output.ref} {output.version}{_place(output.location)}")
    _print_rest(call, "output", len(reproduction.outputs))
    call.out.line(f"again      {_command(call, reproduction)}")


def _print_rest(call: Invocation, name: str, count: int) -> None:
    if count > _MAX_LINES:
        call.out.line(f"{name:<10} {count - _MAX_LINES} more; --output=json has all")


def _print_comparison(call: Invocation, another: AnotherRun, folder: str) -> None:
    call.out.line()
    same = "the same" if another.exit_code == another.recorded_exit_code else f"{another.recorded_exit_code} before"
    fault = f": it {another.fault}" if another.fault else ""
    call.out.line(f"exit code  {another.exit_code} ({same}){fault}")
    for output in another.outputs:
        if output.same:
            call.out.line(f"same       {output.ref} {output.detail}")
        else:
            call.out.line(f"{'unknown' if output.same is None else 'different':<10} {output.ref}: {output.detail}")
    call.out.line(f"folder     {folder}")
    call.out.line("reproduced" if another.same else "not reproduced")


def _place(location: Location | None) -> str:
    if location is None:
        return ""
    size = f" ({bytes_text(location.size)})" if location.size is not None else ""
    return f" {location.uri}{size}"


def _command(call: Invocation, reproduction: Reproduction) -> str:
    """Returns the command line that runs a job run again, in a workspace of the graph."""
    words = ["reproduce", reproduction.job_run.job_run_id, "--run"]
    # The place of the event log, if it is not that of the graph in the workspace.
    if call.flags.get("state_dir"):
        words.append(f"--state_dir={call.state_dir}")
    if call.environment:
        words.append(f"--environment={call.environment}")
    if call.flags.get("event_log"):
        words.append(f"--event_log={call.event_log_uri}")
    check_out = f"git checkout {reproduction.origin.commit} && " if reproduction.origin.commit else ""
    return f"{check_out}{launcher_command(reproduction.graph_label)} {shlex.join(words)}"
