"""`partitions verify [PATTERN...]`: looks for data in its stores, and records what is missing."""

from __future__ import annotations

from collections.abc import Sequence

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import counted, rebuild_text, some_of
from databuild.cli.flags.exit_codes import BUILT, JOB_FAILED
from databuild.model.store_check import ADOPT, REBUILD, StoreCheck, StoreCheckOptions


def run(call: Invocation) -> int:
    """Prints each finding as soon as it is recorded, and the numbers at the end."""
    options = StoreCheckOptions(
        call.flags["content"], call.flags["changed"], call.flags["dry_run"], call.flags["confirm_losses"]
    )
    total = StoreCheck()
    after = call.flags["after"]
    try:
        for part in call.backend().verify_stores(
            call.positionals[1:], options, author=call.flags["author"].strip(), after=after
        ):
            total = total.plus(part)
            after = part.next_after
            _show(call, part, total)
    except KeyboardInterrupt:
        if after:
            call.err.line(f"databuild: --after={after} continues")
        raise
    unexplained = bool(total.findings) and not (options.changed == ADOPT and _only_changed(total))
    if call.json:
        call.out.json({**total._asdict(), "dry_run": options.dry_run, "changed_policy": options.changed})
    else:
        for hint in total.hints:
            call.err.line(f"databuild: not looked at: {hint}")
        call.out.line(_summary(total, options) if total.checked else _nothing(call.positionals[1:]))
    return JOB_FAILED if unexplained else BUILT


def _nothing(patterns: Sequence[str]) -> str:
    """Returns why nothing was looked at, with the next step."""
    wanted = f" match {some_of(patterns)}" if patterns else ""
    return f"looked at nothing: no records of available partitions{wanted}; `partitions` lists all records"


def _only_changed(total: StoreCheck) -> bool:
    return total.count("changed") == len(total.findings)


def _show(call: Invocation, part: StoreCheck, total: StoreCheck) -> None:
    if not call.json:
        for finding in part.findings:
            place = f"  {finding.uri}" if finding.uri else ""
            detail = f": {finding.detail}" if finding.detail else ""
            call.out.line(f"{finding.kind:<10}  {finding.ref}{place}{detail}")
    if part.next_after and call.err.isatty():
        call.out.flush()
        call.err.line(f"databuild: looked at {total.checked:,} partitions so far")


def _summary(total: StoreCheck, options: StoreCheckOptions) -> str:
    found = ", ".join(
        f"{total.count(kind):,} {kind}" for kind in ("missing", "changed", "unreadable") if total.count(kind)
    )
    skipped = f"; {counted(total.not_looked_at, 'partition')} without a place to look at" if total.not_looked_at else ""
    only_there = f"; {counted(total.without_facts, 'partition')} only for existence" if total.without_facts else ""
    text = f"looked at {counted(total.checked, 'partition')}: {found or 'all as recorded'}{only_there}{skipped}"
    if options.dry_run:
        return f"{text}; nothing was recorded"
    remade = total.count("missing") + (total.count("changed") if options.changed == REBUILD else 0)
    return f"{text}; {rebuild_text(remade)}" if remade else text
