"""`builds`: lists builds, newest first."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import build_duration_text, some_of, table, time_text
from databuild.cli.display.output import as_json
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.usage_error import UsageError
from databuild.model import statuses


def run(call: Invocation) -> int:
    if call.positionals:
        raise UsageError(f"builds takes only flags, not {call.positionals[0]!r}; `status` shows one", call.command)
    backend = call.backend()
    before = call.flags["before"]
    if before:
        before = backend.find_build(before).build_request_id
    limit = call.flags["limit"]
    builds = backend.records.builds(status=call.flags["status"], before=before, limit=limit)
    # A full page may be the last one; the next one is then empty.
    next_before = builds[-1].build_request_id if len(builds) == limit else ""
    open_builds = [build.build_request_id for build in builds if build.status in statuses.BUILD.open]
    dead = backend.deaths(open_builds) if open_builds else {}
    if call.json:
        rows = [{**as_json(build), "dead": dead.get(build.build_request_id)} for build in builds]
        call.out.json({"builds": rows, "next_before": next_before})
        return BUILT
    if not builds:
        call.out.line("no builds")
        return BUILT
    table_rows = [("BUILD", "STATUS", "RECEIVED (UTC)", "DURATION", "TASKS", "REQUESTED")]
    table_rows += [
        (
            build.build_request_id,
            f"{build.status} (dead)" if build.build_request_id in dead else build.status,
            time_text(build.received_time),
            build_duration_text(
                build,
                alive=build.status in statuses.BUILD.open and build.build_request_id not in dead,
                now=call.clock(),
            ),
            f"{build.jobs_completed}/{build.total_tasks}",
            some_of(build.requested, limit=1),
        )
        for build in builds
    ]
    call.out.write(table(table_rows))
    if next_before:
        call.err.line(f"databuild: --before={next_before} shows the next page")
    return BUILT
