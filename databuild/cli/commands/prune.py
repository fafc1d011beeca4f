"""`prune`: replaces each ended build by one row, and removes its events and job logs."""

from __future__ import annotations

import re

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import bytes_text, counted, table, time_text
from databuild.cli.flags.exit_codes import BUILT
from databuild.cli.flags.usage_error import UsageError
from databuild.errors import InvalidRequestError
from databuild.model.pruning import Pruned, PruneOptions

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def run(call: Invocation) -> int:
    """Prunes, or lists what would be pruned."""
    dry_run = call.flags["dry_run"]
    pruned = call.backend().prune(_options(call), dry_run=dry_run)
    if call.json:
        _print_json(call, pruned)
    elif dry_run:
        _print_builds(call, pruned)
        call.out.line(f"would prune {_text(pruned)}; nothing was changed")
    else:
        call.out.line(f"pruned {_text(pruned)}")
        if pruned.freed_bytes:
            call.out.line(f"freed {bytes_text(pruned.freed_bytes)} of the event log")
    return BUILT


def _options(call: Invocation) -> PruneOptions:
    if call.positionals:
        message = f"prune takes only flags, not {call.positionals[0]!r}"
        raise UsageError(message, call.command)
    ages = {
        flag: parse_duration(text, flag) if (text := call.flags[flag]) is not None else None
        for flag in ("older_than", "logs_older_than")
    }
    options = PruneOptions(ages["older_than"], call.flags["keep"], ages["logs_older_than"])
    if options == PruneOptions():
        message = "prune needs at least one of --older_than=DURATION, --keep=N and --logs_older_than=DURATION"
        raise UsageError(message, call.command)
    return options


def parse_duration(text: str, flag: str) -> float:
    """Parses a duration such as `30d` or `1h30m`, and returns it in seconds.

    Args:
        text: The duration.
        flag: The name of its flag, for the message of an error.

    Raises:
        InvalidRequestError: The text is not a duration.
    """
    if _DURATION.fullmatch(text) is None:
        message = (
            f"--{flag}={text} is not a duration; write whole numbers with the units w (weeks), d (days), h (hours), "
            "m (minutes) and s (seconds), such as 30d or 12h30m"
        )
        raise InvalidRequestError(message)
    return float(sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))


def _print_builds(call: Invocation, pruned: Pruned) -> None:
    rows = [
        (build.build_request_id, build.status, time_text(build.ended_time), str(build.events))
        for build in pruned.builds
    ]
    if rows:
        call.out.write(table([("BUILD", "STATUS", "ENDED (UTC)", "EVENTS"), *rows]))


def _text(pruned: Pruned) -> str:
    events = f"{counted(pruned.events, 'event')}, {bytes_text(pruned.event_bytes)}"
    logs = f"{counted(pruned.log_builds, 'build')} ({bytes_text(pruned.log_bytes)})"
    return f"{counted(len(pruned.builds), 'build')} ({events}) and the job logs of {logs}"


def _print_json(call: Invocation, pruned: Pruned) -> None:
    call.out.json(
        {
            "dry_run": call.flags["dry_run"],
            "builds": [build.build_request_id for build in pruned.builds],
            "events": pruned.events,
            "event_bytes": pruned.event_bytes,
            "log_builds": pruned.log_builds,
            "log_bytes": pruned.log_bytes,
            "given_back_bytes": pruned.freed_bytes,
        }
    )
