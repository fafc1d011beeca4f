"""`partitions forget`, `partitions delete` and `partitions clean`."""

from __future__ import annotations

from databuild.cli.backend.invocation import Invocation
from databuild.cli.display.formats import bytes_text, counted, rebuild_text
from databuild.cli.flags.exit_codes import BUILT, JOB_FAILED
from databuild.cli.flags.usage_error import UsageError
from databuild.model.removal import Cleaning, CleanOptions, Deletion, RemovedData


def forget(call: Invocation) -> int:
    """Makes the event log forget the data of partitions."""
    texts, author, reason = _arguments(call, reason_needed=True)
    forgotten = call.backend().forget(texts, author=author, reason=reason)
    if call.json:
        call.out.json({**forgotten._asdict(), "reason": reason})
    elif forgotten.partitions:
        number = counted(len(forgotten.partitions), "partition")
        call.out.line(f"forgot {number}; {rebuild_text(len(forgotten.partitions))}")
    else:
        call.out.line("forgot nothing: no partitions with data match; `partitions` lists all records")
    return BUILT


def delete(call: Invocation) -> int:
    """Lists the data of partitions, asks whether to delete it, and deletes it."""
    dry_run = call.flags["dry_run"]
    texts, author, reason = _arguments(call, reason_needed=not dry_run)
    if not (dry_run or call.flags["yes"] or call.stdin.isatty()):
        message = "partitions delete asks before it deletes; where nobody can answer, it needs --yes"
        raise UsageError(message, call.command)
    found = _delete(call, texts, author, reason, dry_run=True)
    if dry_run or found.refused or not found.removed:
        return _report(call, found, dry_run=True)
    if not call.flags["yes"]:
        for one in found.removed:
            call.err.line(_line(one))
        question = f"Delete {_size(found)}? Type yes to delete: "
        call.err.write(question)
        call.err.flush()
        if call.stdin.readline().strip().lower() not in {"y", "yes"}:
            call.err.line("databuild: nothing was deleted")
            return JOB_FAILED
    return _report(call, _delete(call, texts, author, reason, dry_run=False), dry_run=False)


def clean(call: Invocation) -> int:
    """Deletes data that is older than the retention of its job, and what job runs left behind."""
    if call.positionals[1:]:
        message = f"partitions clean takes only flags, not {call.positionals[1]!r}; retention is set for jobs"
        raise UsageError(message, call.command)
    options = CleanOptions(delete_inputs=call.flags["delete_inputs"], dry_run=call.flags["dry_run"])
    cleaning = call.backend().clean(options, author=call.flags["author"].strip())
    if call.json:
        data = [one._asdict() for one in cleaning.data]
        call.out.json({**cleaning._asdict(), "data": data, "dry_run": options.dry_run})
    else:
        for one in cleaning.data:
            if options.dry_run or one.fault:
                call.out.line(_line(one))
        call.out.line(_summary(cleaning, options))
    return BUILT


def _arguments(call: Invocation, *, reason_needed: bool) -> tuple[list[str], str, str]:
    command, *texts = call.positionals
    author, reason = call.flags["author"].strip(), call.flags["reason"].strip()
    if not texts:
        message = (
            f"partitions {command} takes at least one REF, range or pattern; `partitions {command}/` lists refs that "
            f"begin with {command}/"
        )
        raise UsageError(message, call.command)
    if reason_needed and not reason:
        raise UsageError(f"partitions {command} needs --reason=TEXT, which records why", call.command)
    return texts, author, reason


def _delete(call: Invocation, texts: list[str], author: str, reason: str, *, dry_run: bool) -> Deletion:
    total = Deletion()
    for part in call.backend().delete(texts, author=author, reason=reason, force=call.flags["force"], dry_run=dry_run):
        total = total.plus(part)
    return total


def _report(call: Invocation, deletion: Deletion, *, dry_run: bool) -> int:
    if call.json:
        data = [one._asdict() for one in deletion.data]
        call.out.json({"data": data, "bytes": deletion.bytes, "author": deletion.author, "dry_run": dry_run})
        return JOB_FAILED if deletion.refused else BUILT
    for one in deletion.data:
        if dry_run or one.fault:
            call.out.line(_line(one))
    if not deletion.data:
        call.out.line("nothing to delete: no partitions with data match; `partitions` lists all records")
    elif not dry_run:
        call.out.line(f"deleted {_size(deletion)}")
    elif deletion.refused:
        refused = counted(len(deletion.refused), "partition")
        call.out.line(f"{refused} cannot be deleted, so nothing was deleted; leave them out")
    else:
        call.out.line(f"would delete {_size(deletion)}; nothing was changed")
    return JOB_FAILED if deletion.refused else BUILT


def _line(one: RemovedData) -> str:
    if one.fault:
        return f"refused  {one.ref}  {one.uri}: {one.fault}" if one.uri else f"refused  {one.ref}: {one.fault}"
    return f"delete   {one.ref}  {one.uri}  {bytes_text(one.size)}"


def _size(deletion: Deletion) -> str:
    return f"the data of {counted(len(deletion.removed), 'partition')}, {bytes_text(deletion.bytes)}"


def _summary(cleaning: Cleaning, options: CleanOptions) -> str:
    verb = "would delete" if options.dry_run else "deleted"
    text = f"{verb} the data of {counted(cleaning.deleted, 'partition')}, {bytes_text(cleaning.bytes)}"
    if not cleaning.deleted and not cleaning.leftovers:
        text = "nothing to delete: no data is older than the retention of its job, and no job run left files behind"
    if cleaning.leftovers:
        text += f", and {counted(cleaning.leftovers, 'leftover')}, {bytes_text(cleaning.leftover_bytes)}"
    if cleaning.kept:
        number = counted(cleaning.kept, "partition")
        text += f"; kept {number} from which available ones were made (--delete_inputs deletes them)"
    if cleaning.refused:
        text += f"; {counted(cleaning.refused, 'partition')} cannot be deleted"
    return text
