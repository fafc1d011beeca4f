"""`builds`: the builds there are, newest first."""

from __future__ import annotations

from databuild.cli.exit_codes import BUILT
from databuild.cli.invocation import Invocation
from databuild.cli.output import as_json, duration_text, some_of, table, time_text
from databuild.orchestration.build_ids import find_build


def run(call: Invocation) -> int:
    """Prints one page of builds."""
    reader = call.reader()
    before = call.flags["before"]
    if before:
        before = find_build(reader, before).build_request_id
    limit = call.flags["limit"]
    builds = reader.builds(status=call.flags["status"], before=before, limit=limit)
    following = builds[-1].build_request_id if len(builds) == limit else ""
    if call.json:
        call.out.json({"builds": [as_json(build) for build in builds], "next_before": following})
        return BUILT
    if not builds:
        call.out.line("no builds")
        return BUILT
    rows = [("BUILD", "STATUS", "RECEIVED (UTC)", "TOOK", "TASKS", "REQUESTED")]
    rows += [
        (
            build.build_request_id,
            build.status,
            time_text(build.received_time),
            duration_text(max(build.updated_time - build.received_time, 0.0)),
            f"{build.jobs_completed}/{build.total_tasks}",
            some_of(build.requested, most=1),
        )
        for build in builds
    ]
    call.out.write(table(rows))
    if following:
        call.err.line(f"databuild: more with --before={following}")
    return BUILT
