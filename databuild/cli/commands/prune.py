"""`prune`: turns builds that have ended into what they added up to, and removes old job logs."""

from __future__ import annotations

from typing import NamedTuple

from databuild.cli.durations import parse_duration
from databuild.cli.exit_codes import BUILT
from databuild.cli.full_parse import UsageError
from databuild.cli.invocation import Invocation
from databuild.cli.local_backend import LocalBackend
from databuild.cli.output import bytes_text, counted, table, time_text
from databuild.event_log.open import open_pruner
from databuild.orchestration.job_logs import prunable_logs, prune_logs
from databuild.orchestration.retention import Batch, batches, builds_to_prune, prune_builds


class _Wanted(NamedTuple):
    """What is to be pruned: builds at all, those that ended before a time, but the newest; and logs by age."""

    builds: bool
    before: float | None
    keep: int
    logs_before: float


class _Total:
    """What was pruned, or would be."""

    def __init__(self) -> None:
        self.builds: list[str] = []
        self.events = 0
        self.bytes = 0
        self.log_builds = 0
        self.log_bytes = 0

    def add(self, batch: Batch) -> None:
        self.builds += [build.build_request_id for build in batch.builds]
        self.events += batch.events
        self.bytes += batch.bytes

    def add_logs(self, size: int) -> None:
        self.log_builds += 1
        self.log_bytes += size

    def text(self) -> str:
        events = f"{counted(self.events, 'event')}, {bytes_text(self.bytes)}"
        logs = f"{counted(self.log_builds, 'build')} ({bytes_text(self.log_bytes)})"
        return f"{counted(len(self.builds), 'build')} ({events}) and the job logs of {logs}"


def run(call: Invocation) -> int:
    """Prunes, or tells what would be pruned."""
    now = call.clock()
    wanted = _wanted(call, now)
    total = _Total()
    if call.flags["dry_run"]:
        _try(call, wanted, total)
        given_back = 0
    else:
        given_back = _prune(call, wanted, total, now)
    if call.json:
        _print_json(call, total, given_back)
    elif call.flags["dry_run"]:
        call.out.line(f"would prune {total.text()}; nothing was changed")
    else:
        call.out.line(f"pruned {total.text()}")
        if given_back:
            call.out.line(f"gave {bytes_text(given_back)} of the event log back to the disk")
    return BUILT


def _wanted(call: Invocation, now: float) -> _Wanted:
    if call.positionals:
        message = f"prune takes no {call.positionals[0]!r}: flags say what is pruned"
        raise UsageError(message, call.command)
    ages = {
        flag: now - parse_duration(text, flag)
        for flag in ("older_than", "logs_older_than")
        if (text := call.flags[flag]) is not None
    }
    keep = call.flags["keep"]
    if not ages and keep is None:
        message = "prune takes --older_than=DURATION, --keep=N or --logs_older_than=DURATION, or several of them"
        raise UsageError(message, call.command)
    return _Wanted(
        builds="older_than" in ages or keep is not None,
        before=ages.get("older_than"),
        keep=keep or 0,
        logs_before=max(ages.get("logs_older_than", 0.0), 0.0),
    )


def _try(call: Invocation, wanted: _Wanted, total: _Total) -> None:
    reader = LocalBackend(call).records
    rows = [("BUILD", "STATUS", "ENDED (UTC)", "EVENTS")]
    if wanted.builds:
        for batch in batches(reader, builds_to_prune(reader, before=wanted.before, keep=wanted.keep)):
            total.add(batch)
            rows += [
                (build.build_request_id, build.status, time_text(build.updated_time), str(build.last_sequence))
                for build in batch.builds
            ]
    chosen = frozenset(total.builds)
    for _, size in prunable_logs(reader, call.log_dir, before=wanted.logs_before, also=chosen.__contains__):
        total.add_logs(size)
    if not call.json and len(rows) > 1:
        call.out.write(table(rows))


def _prune(call: Invocation, wanted: _Wanted, total: _Total, now: float) -> int:
    """Prunes, and returns how many bytes of the event log were given back."""
    reader = LocalBackend(call).records
    pruner = open_pruner(call.event_log_uri)
    given_back = 0
    try:
        if wanted.builds:
            builds = builds_to_prune(reader, before=wanted.before, keep=wanted.keep)
            for batch in prune_builds(pruner, reader, builds, now):
                total.add(batch)
            given_back = pruner.give_back()
    finally:
        pruner.close()
    for _, size in prune_logs(reader, call.log_dir, before=wanted.logs_before):
        total.add_logs(size)
    return given_back


def _print_json(call: Invocation, total: _Total, given_back: int) -> None:
    call.out.json(
        {
            "dry_run": call.flags["dry_run"],
            "builds": total.builds,
            "events": total.events,
            "event_bytes": total.bytes,
            "log_builds": total.log_builds,
            "log_bytes": total.log_bytes,
            "given_back_bytes": given_back,
        }
    )
